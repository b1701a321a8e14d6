//! One thing that was looked at: what was found, and what to do about it.

use std::collections::BTreeMap;

use serde::Serialize;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing is in the way.
    Ok,
    /// Something has to be done.
    Fix,
    /// It could not be measured.
    Unknown,
}

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The numbers in it, for programs; their names say the unit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<&'static str, f64>,
}

impl Check {
    fn new(
        check: &'static str,
        state: State,
        found: impl Into<String>,
        remedy: Option<String>,
    ) -> Check {
        Check {
            check,
            state,
            found: found.into(),
            remedy,
            figures: BTreeMap::new(),
        }
    }

    /// Nothing is in the way.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Check {
        Check::new(check, State::Ok, found, None)
    }

    /// Something has to be done.
    pub fn fix(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Check {
        Check::new(check, State::Fix, found, Some(remedy.into()))
    }

    /// It could not be measured.
    pub fn unknown(
        check: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        Check::new(check, State::Unknown, found, Some(remedy.into()))
    }

    /// [`Check::ok`] if it `is_so`, else [`Check::fix`].
    pub fn either(
        check: &'static str,
        is_so: bool,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        match is_so {
            true => Check::ok(check, found),
            false => Check::fix(check, found, remedy),
        }
    }

    /// The same, with advice that is no must.
    pub fn advised(mut self, remedy: impl Into<String>) -> Check {
        self.remedy.get_or_insert_with(|| remedy.into());
        self
    }

    /// The same with one more number.
    pub fn with(mut self, name: &'static str, figure: f64) -> Check {
        self.figures.insert(name, figure);
        self
    }

    /// For people: a line, and one more if there is something to do.
    pub fn text(&self) -> String {
        let state = match self.state {
            State::Ok => "ok",
            State::Fix => "FIX",
            State::Unknown => "?",
        };
        let line = format!("{:<12} {state:<3} {}\n", self.check, self.found);
        match &self.remedy {
            Some(remedy) => format!("{line}{:<12}   → {remedy}\n", ""),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_is_on_a_line_of_its_own() {
        let bad = Check::fix("clock", "it is an hour late", "set it").with("seconds", 3_600.0);
        let text = "clock        FIX it is an hour late\n               → set it\n";
        assert_eq!(bad.text(), text);
        let json = serde_json::to_value(&bad).unwrap();
        assert_eq!(
            (&json["state"], &json["do"]),
            (&"fix".into(), &"set it".into())
        );
        assert_eq!(json["figures"]["seconds"], 3_600.0);
        assert_eq!(Check::ok("clock", "on time").text().lines().count(), 1);
        assert_eq!(
            Check::either("clock", true, "on time", "set it").remedy,
            None
        );
    }
}

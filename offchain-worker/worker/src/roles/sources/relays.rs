//! By which relays a peer is reached: those that its owner named, or else those of the run.

use cairn_store::{
    guard::{self, Origin},
    StoreError,
};

/// What can be done about a relay of the run that is left out.
pub const IF_TRUSTED: &str = "if you trust it, name it by --p2p-relay";

/// Relays, and who named them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relays {
    /// Their URLs.
    pub urls: Vec<String>,
    /// Who named them: what a chain named is held to public hosts, also where a name leads.
    pub by: Origin,
}

impl Relays {
    /// What the owner said if anything was said, none included; else what the run's manifest names, without those to
    /// which it may not send this worker. Also gives these, each with the reason.
    pub fn choose(
        own: Option<&[String]>,
        of_run: &[String],
        trust: Origin,
    ) -> (Relays, Vec<String>) {
        if let Some(own) = own {
            let (urls, by) = (own.to_vec(), Origin::Owner);
            return (Relays { urls, by }, Vec::new());
        }
        let (mut urls, mut left_out) = (Vec::new(), Vec::new());
        for url in of_run {
            match guard::check(url, trust) {
                Ok(()) => urls.push(url.clone()),
                Err(error) => {
                    let why = match error {
                        StoreError::Forbidden { why, .. } => why,
                        other => other.to_string(),
                    };
                    left_out.push(format!("the run's relay {url} is not used: {why}"));
                }
            }
        }
        (Relays { urls, by: trust }, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(of: &[&str]) -> Vec<String> {
        of.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_owner_goes_before_the_run() {
        let run = urls(&["https://relay.example"]);
        let own = urls(&["http://127.0.0.1:3340"]);
        for named in [own, Vec::new()] {
            let (chosen, left_out) = Relays::choose(Some(&named), &run, Origin::Chain);
            assert_eq!((chosen.urls, chosen.by), (named, Origin::Owner));
            assert_eq!(left_out, Vec::<String>::new());
        }
        let (chosen, _) = Relays::choose(None, &run, Origin::Chain);
        assert_eq!((chosen.urls, chosen.by), (run, Origin::Chain));
    }

    #[test]
    fn a_run_sends_nobody_to_a_host_on_its_own_machine_or_network() {
        let inside = [
            "https://127.0.0.1:443",
            "https://10.0.0.1",
            "https://[::1]",
            "http://relay.example",
        ];
        let run = urls(&[&inside[..], &["https://relay.example"]].concat());
        let (chosen, left_out) = Relays::choose(None, &run, Origin::Chain);
        assert_eq!(chosen.urls, ["https://relay.example"]);
        assert_eq!(left_out.len(), inside.len());
        for (said, url) in left_out.iter().zip(inside) {
            assert!(said.contains(url), "{said}");
        }
        let run = urls(&["https://10.0.0.1"]);
        let (chosen, left_out) = Relays::choose(None, &run, Origin::Owner);
        assert_eq!((chosen.urls, chosen.by), (run, Origin::Owner));
        assert_eq!(left_out, Vec::<String>::new());
    }
}

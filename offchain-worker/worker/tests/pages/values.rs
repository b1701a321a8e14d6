//! Whether two JSON values say the same with other numbers.

use serde_json::Value;

use crate::shape::shape;

/// Whether two JSON values have the same fields of the same kinds. `null` of the page stands for anything.
pub fn values_are_alike(shown: &Value, printed: &Value) -> Result<(), String> {
    let differ = || Err(format!("`{shown}` is shown, `{printed}` was printed"));
    match (shown, printed) {
        (Value::Null, _)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_)) => Ok(()),
        (Value::String(one), Value::String(other)) if shape(one) == shape(other) => Ok(()),
        (Value::Array(shown), Value::Array(printed)) => {
            let Some(first) = printed.first() else {
                return if shown.is_empty() { Ok(()) } else { differ() };
            };
            shown
                .iter()
                .try_for_each(|each| values_are_alike(each, first))
        }
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            let mut pairs = one.iter().zip(other.values());
            pairs.try_for_each(|((_, one), other)| values_are_alike(one, other))
        }
        _ => differ(),
    }
}

#[test]
fn kinds_and_names_of_fields_have_to_be_the_same() {
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let alike = |one: &str, other: &str| values_are_alike(&json(one), &json(other)).is_ok();
    assert!(alike(
        r#"{"a":"12","b":null,"c":[1,2]}"#,
        r#"{"a":"3","b":7,"c":[9]}"#
    ));
    assert!(!alike(r#"{"a":"12"}"#, r#"{"a":12}"#) && !alike(r#"{"a":1}"#, r#"{"b":1}"#));
    assert!(!alike("[1]", "[]") && !alike(r#""a 1""#, r#""b 1""#));
}

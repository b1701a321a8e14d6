//! What methods of ours there are, in [OpenRPC](https://spec.open-rpc.org): for people and for programs.

use scale_info::MetaType;
use serde_json::{json, Map, Value};

use super::{
    following,
    method::Method,
    methods,
    parameters::Declared,
    schema::{self, Named},
};

/// What a call of ours can fail with: code, name, meaning.
const ERRORS: [(i32, &str, &str); 5] = [
    (
        1,
        "NoState",
        "The state of that block is not kept here: ask for a newer block, or an archive node.",
    ),
    (2, "NoSubnet", "There is no such subnet."),
    (3, "NoMember", "There is no such member."),
    (4, "NoAddress", "This is no address of this chain."),
    (
        -32602,
        "InvalidParams",
        "Another parameter is not what it should be: the message names it, and what is expected.",
    ),
];

/// The document.
pub fn document() -> Value {
    let mut named = Named::new();
    let all = methods();
    let mut methods: Vec<Value> = all.iter().map(|method| of(method, &mut named)).collect();
    methods.extend(subscription(&mut named));
    methods.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
    let errors: Map<String, Value> = ERRORS
        .iter()
        .map(|(code, name, message)| {
            (
                name.to_string(),
                json!({ "code": code, "message": message }),
            )
        })
        .collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Cairn",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a cairn-node answers beside Substrate's usual methods. Amounts are strings of pebble.",
            "license": { "name": "Apache-2.0" },
        },
        "methods": methods,
        "components": { "schemas": named, "errors": errors },
    })
}

fn of(method: &Method, named: &mut Named) -> Value {
    json!({
        "name": method.name,
        "summary": method.about,
        "paramStructure": "either",
        "params": parameters(method.parameters),
        "result": { "name": "answer", "schema": schema::of_type(&method.answer, named) },
        "errors": errors(),
    })
}

/// The methods of a subscription. OpenRPC knows none, so what is told is under a name that it leaves to others.
fn subscription(named: &mut Named) -> [Value; 2] {
    let told = schema::of_type(&MetaType::new::<following::RunAt>(), named);
    let id = json!({ "type": "string" });
    let begin = json!({
        "name": following::SUBSCRIBE,
        "summary": "Tells a subnet's run over a WebSocket: at once, and then as of each best block that changes it.",
        "paramStructure": "either",
        "params": parameters(following::PARAMETERS),
        "result": { "name": "subscription", "schema": id },
        "errors": errors(),
        "x-notification": { "name": following::TELLS, "schema": told },
    });
    let end = json!({
        "name": following::UNSUBSCRIBE,
        "summary": "Ends a subscription; false if there is none of this name on this connection.",
        "paramStructure": "by-position",
        "params": [{
            "name": "subscription",
            "description": "what subscribing answered",
            "required": true,
            "schema": id,
        }],
        "result": { "name": "answer", "schema": { "type": "boolean" } },
        "errors": [],
    });
    [begin, end]
}

fn parameters(all: &[Declared]) -> Vec<Value> {
    let parameters = all.iter().map(|parameter| {
        let mut schema = (parameter.schema)();
        if !parameter.is_required {
            schema = json!({ "anyOf": [schema, { "type": "null" }] });
        }
        json!({
            "name": parameter.name,
            "description": parameter.expected,
            "required": parameter.is_required,
            "schema": schema,
        })
    });
    parameters.collect()
}

fn errors() -> Vec<Value> {
    let errors = ERRORS
        .iter()
        .map(|(_, name, _)| json!({ "$ref": format!("#/components/errors/{name}") }));
    errors.collect()
}

#[cfg(test)]
mod tests {
    use codec::Decode;

    use super::*;

    /// Set to write the page anew.
    const WRITE: &str = "CAIRN_WRITE_OPENRPC";
    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openrpc.json");

    #[test]
    fn the_page_is_what_a_node_answers() {
        let text = serde_json::to_string_pretty(&document()).expect("JSON") + "\n";
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(PAGE, &text).expect("written");
        }
        let page = std::fs::read_to_string(PAGE).unwrap_or_default();
        assert!(
            page == text,
            "docs/openrpc.json is not what the node answers: run this test with {WRITE}=1"
        );
    }

    /// What is wrong with a value, if it is not as the schema says.
    fn fault(schema: &Value, value: &Value, named: &Value) -> Option<String> {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.trim_start_matches("#/components/schemas/");
            return fault(&named[name], value, named);
        }
        if let Some(ways) = schema["anyOf"].as_array() {
            let all: Option<Vec<String>> =
                ways.iter().map(|way| fault(way, value, named)).collect();
            return all.map(|faults| faults.join(" or "));
        }
        let wrong = || Some(format!("{value} is not {schema}"));
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_u64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is = |wanted: &Value| wanted == kind || (wanted == "number" && kind == "integer");
        let is_kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().any(is),
            wanted => is(wanted),
        };
        if !is_kind {
            return wrong();
        }
        match value {
            Value::Number(number) => {
                let most = schema["maximum"].as_u64().unwrap_or(u64::MAX);
                number
                    .as_u64()
                    .filter(|number| *number > most)
                    .and_then(|_| wrong())
            }
            Value::String(text) => match (schema["enum"].as_array(), schema["pattern"].as_str()) {
                (Some(words), _) => (!words.contains(value)).then(wrong).flatten(),
                (_, Some(pattern)) => {
                    let digits = text.strip_prefix("0x").unwrap_or(text);
                    let is_hash = pattern.starts_with("^0x");
                    let fits = match is_hash {
                        true => digits.len() == 64 && text.len() == 66,
                        false => digits.bytes().all(|byte| byte.is_ascii_digit()),
                    };
                    (!fits).then(wrong).flatten()
                }
                _ => None,
            },
            Value::Array(values) => match &schema["items"] {
                Value::Array(items) => match items.len() == values.len() {
                    true => items
                        .iter()
                        .zip(values)
                        .find_map(|(item, value)| fault(item, value, named)),
                    false => wrong(),
                },
                item => values.iter().find_map(|value| fault(item, value, named)),
            },
            Value::Object(object) => {
                let properties = schema["properties"].as_object()?;
                if object.len() != properties.len() {
                    return wrong();
                }
                properties
                    .iter()
                    .find_map(|(name, schema)| match object.get(name) {
                        Some(value) => fault(schema, value, named),
                        None => wrong(),
                    })
            }
            _ => None,
        }
    }

    /// Bytes of which most are such as a short list, a choice or a yes begins with.
    fn bytes(seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        let step = std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        });
        let few = [0u8, 1, 0, 1, 0, 1, 0, 4];
        step.take(4_096)
            .map(|number| few[(number % 8) as usize])
            .collect()
    }

    /// Values of every answer are as the document says.
    #[test]
    fn answers_are_as_the_document_says() {
        let document = document();
        let named = &document["components"]["schemas"];
        let listed = |name: &str| {
            let all = document["methods"].as_array().expect("a list");
            let found = all.iter().find(|one| one["name"] == name);
            found.expect("it is there")
        };
        let fits = |name: &str, schema: &Value, sample: fn(&mut &[u8]) -> Option<Value>| {
            let mut seen = 0;
            for seed in 0..4_000 {
                let Some(value) = sample(&mut bytes(seed).as_slice()) else {
                    continue;
                };
                seen += usize::from(!value.is_null() && value != json!([]));
                assert_eq!(fault(schema, &value, named), None, "{name}");
            }
            assert!(seen > 20, "{name}: only {seen} answers");
        };
        for method in methods() {
            let schema = &listed(method.name)["result"]["schema"];
            fits(method.name, schema, method.sample);
        }
        let told = &listed(following::SUBSCRIBE)["x-notification"]["schema"];
        fits(following::TELLS, told, |bytes| {
            let run = following::RunAt::decode(bytes).ok()?;
            serde_json::to_value(run).ok()
        });
        // And what is not so is found.
        let schema = &document["components"]["schemas"]["Issuance"];
        assert!(fault(schema, &json!({ "issued": 7 }), named).is_some());
    }
}

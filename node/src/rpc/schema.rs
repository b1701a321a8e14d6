//! JSON Schemas of what methods take and answer, read from the types themselves.
//!
//! Types say how they are in SCALE, and here is what serde makes of that in this workspace: a struct is an object, a
//! tuple a list, a variant is named in lower case, a field of type `Balance` is a string of pebble. A test makes values
//! of every answer and holds their JSON against the schema.

use std::collections::BTreeMap;

use scale_info::{form::MetaForm, Field, MetaType, TypeDef, TypeDefPrimitive, TypeInfo, Variant};
use serde_json::{json, Map, Value};

/// Schemas by the names of their types, for an answer's parts.
pub type Named = BTreeMap<String, Value>;

/// The schema of a type that has no named parts.
pub fn of<T: TypeInfo + 'static>() -> Value {
    of_type(&MetaType::new::<T>(), &mut Named::new())
}

/// The schema of a type; of its parts that have names, it has references, and `named` gets the schemas.
pub fn of_type(of: &MetaType, named: &mut Named) -> Value {
    let info = of.type_info();
    let name = info.path.ident().unwrap_or_default();
    let parameter = |at: usize| info.type_params.get(at).and_then(|one| one.ty);
    match (name, &info.type_def) {
        ("AccountId32", _) => json!({ "type": "string", "title": "an SS58 address" }),
        ("H256", _) => json!({ "type": "string", "pattern": "^0x[0-9a-f]{64}$" }),
        ("Nano", _) => {
            json!({ "type": ["number", "string"], "title": "a decimal number, as text if it is no double" })
        }
        ("Text", _) => json!({ "type": "string" }),
        ("Option", _) => match parameter(0) {
            Some(inner) => json!({ "anyOf": [of_type(&inner, named), { "type": "null" }] }),
            None => json!({}),
        },
        ("BoundedVec", _) => match parameter(0) {
            Some(inner) => json!({ "type": "array", "items": of_type(&inner, named) }),
            None => json!({}),
        },
        // The only type without a tag.
        ("History", TypeDef::Variant(variants)) => {
            let ways = variants
                .variants
                .iter()
                .map(|way| fields(&way.fields, named));
            json!({ "anyOf": ways.collect::<Vec<_>>() })
        }
        (_, TypeDef::Primitive(primitive)) => of_primitive(primitive),
        (_, TypeDef::Sequence(list)) => {
            json!({ "type": "array", "items": of_type(&list.type_param, named) })
        }
        (_, TypeDef::Array(list)) => {
            let items = of_type(&list.type_param, named);
            json!({ "type": "array", "items": items, "minItems": list.len, "maxItems": list.len })
        }
        (_, TypeDef::Tuple(parts)) => {
            let items: Vec<_> = parts
                .fields
                .iter()
                .map(|part| of_type(part, named))
                .collect();
            json!({ "type": "array", "minItems": items.len(), "maxItems": items.len(), "items": items })
        }
        (_, TypeDef::Composite(composite)) => match composite.fields.as_slice() {
            // Transparent.
            [only] if only.name.is_none() => of_type(&only.ty, named),
            all => by_name(of, name, named, |named| fields(all, named)),
        },
        (_, TypeDef::Variant(variants)) => {
            by_name(of, name, named, |named| choice(&variants.variants, named))
        }
        _ => json!({}),
    }
}

/// A reference to the schema of a type with a name.
fn by_name(
    of: &MetaType,
    name: &str,
    named: &mut Named,
    make: impl FnOnce(&mut Named) -> Value,
) -> Value {
    // A page of one thing is another type than a page of another.
    let parameters = of.type_info().type_params;
    let parts = parameters
        .iter()
        .filter_map(|one| one.ty?.type_info().path.ident());
    let parts = parts.filter(|part| *part != "AccountId32");
    let key: String = std::iter::once(name).chain(parts).collect();
    if !named.contains_key(&key) {
        // Before its parts: no type of ours has itself as a part, and if one ever does, this ends.
        named.insert(key.clone(), Value::Null);
        let schema = make(named);
        named.insert(key.clone(), schema);
    }
    json!({ "$ref": format!("#/components/schemas/{key}") })
}

/// A struct, or what a variant has.
fn fields(all: &[Field<MetaForm>], named: &mut Named) -> Value {
    if let [only] = all {
        if only.name.is_none() {
            return of_type(&only.ty, named);
        }
    }
    let mut properties = Map::new();
    for field in all {
        let name = field.name.unwrap_or_default().to_string();
        properties.insert(name, of_field(field, named));
    }
    let required: Vec<&str> = all.iter().filter_map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn of_field(field: &Field<MetaForm>, named: &mut Named) -> Value {
    match field.type_name {
        Some("Balance") => json!({ "type": "string", "pattern": "^[0-9]+$", "title": "pebble" }),
        // Bytes that are written as a hash is.
        Some("Option<ContributionKey>") => of::<Option<sp_core::H256>>(),
        _ => of_type(&field.ty, named),
    }
}

/// An enum: a word, or an object of a word and what belongs to it.
fn choice(variants: &[Variant<MetaForm>], named: &mut Named) -> Value {
    let word = |variant: &Variant<MetaForm>| variant.name.to_lowercase();
    let (words, others): (Vec<_>, Vec<_>) = variants
        .iter()
        .partition(|variant| variant.fields.is_empty());
    let words: Vec<String> = words.into_iter().map(word).collect();
    let mut ways = Vec::new();
    if !words.is_empty() {
        ways.push(json!({ "type": "string", "enum": words }));
    }
    for variant in others {
        let word = word(variant);
        let properties = json!({ word.clone(): fields(&variant.fields, named) });
        ways.push(json!({
            "type": "object", "properties": properties, "required": [word], "additionalProperties": false
        }));
    }
    match (ways.pop(), ways.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            ways.extend(last);
            json!({ "anyOf": ways })
        }
    }
}

fn of_primitive(primitive: &TypeDefPrimitive) -> Value {
    let whole = |most: u64| json!({ "type": "integer", "minimum": 0, "maximum": most });
    match primitive {
        TypeDefPrimitive::Bool => json!({ "type": "boolean" }),
        TypeDefPrimitive::Str | TypeDefPrimitive::Char => json!({ "type": "string" }),
        TypeDefPrimitive::U8 => whole(u8::MAX.into()),
        TypeDefPrimitive::U16 => whole(u16::MAX.into()),
        TypeDefPrimitive::U32 => whole(u32::MAX.into()),
        TypeDefPrimitive::U64 => whole(u64::MAX),
        _ => json!({ "type": "integer" }),
    }
}

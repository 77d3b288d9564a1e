//! Examples of bodies, put together from those of the fields: an example that
//! was written out would sooner or later be of another shape than the schema.

use serde_json::{Map, Value};

/// A moment, for fields that have no example of their own.
const MOMENT: &str = "2026-11-22T18:03:09.412Z";

/// Adds an example to each body and answer that has none.
pub(super) fn add(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let paths = document["paths"].as_object_mut();
    let operations = paths.into_iter().flat_map(|paths| {
        paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut)
    });
    for operation in operations {
        if let Some(body) = operation.get_mut("requestBody") {
            complete(body, &schemas);
        }
        let answers = operation.get_mut("responses").and_then(Value::as_object_mut);
        for answer in answers.into_iter().flat_map(Map::values_mut) {
            complete(answer, &schemas);
        }
    }
}

fn complete(body: &mut Value, schemas: &Value) {
    let content = body.get_mut("content").and_then(Value::as_object_mut);
    for media in content.into_iter().flat_map(Map::values_mut) {
        if media.get("example").is_none()
            && media.get("examples").is_none()
            && let Some(example) = of(&media["schema"], schemas)
        {
            media["example"] = example;
        }
    }
}

/// An example of a schema; nothing where a text or a number is anybody's guess.
fn of(schema: &Value, schemas: &Value) -> Option<Value> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/components/schemas/");
        return of(&schemas[name], schemas);
    }
    for key in ["example", "default", "const"] {
        if let Some(example) = schema.get(key) {
            return Some(example.clone());
        }
    }
    for key in ["examples", "enum"] {
        if let Some(first) = schema[key].as_array().and_then(|all| all.first()) {
            return Some(first.clone());
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            whole.append(of(part, schemas)?.as_object_mut()?);
        }
        return Some(whole.into());
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let mut choices = choices.iter().filter(|choice| choice["type"] != "null");
        return of(choices.next()?, schemas);
    }
    by_type(schema, schemas)
}

fn by_type(schema: &Value, schemas: &Value) -> Option<Value> {
    let of_type = schema["type"].as_array().map_or(&schema["type"], |types| &types[0]);
    match of_type.as_str()? {
        "object" => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let fields = fields.map(|(name, field)| Some((name.clone(), of(field, schemas)?)));
            fields.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        "array" if schema.get("prefixItems").is_some() => {
            let items = schema["prefixItems"].as_array().into_iter().flatten();
            items.map(|item| of(item, schemas)).collect()
        }
        "array" => Some(vec![of(&schema["items"], schemas)?].into()),
        "boolean" => Some(false.into()),
        "null" => Some(Value::Null),
        "string" if schema["format"] == "date-time" => Some(MOMENT.into()),
        _ => None,
    }
}

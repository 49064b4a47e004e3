//! Manifests of earlier versions of the tool.

use serde_json::{Value, json};

use crate::model::SCHEMA_VERSION;

/// Brings a manifest to [`SCHEMA_VERSION`], step by step. `None` for a version that this tool doesn't know.
///
/// To change the schema, raise [`SCHEMA_VERSION`], add a step here, and keep a manifest of the version before in
/// `harness/tests/data`.
pub(super) fn migrate(mut manifest: Value, from: u64) -> Option<Value> {
    let mut version = from;
    while version < u64::from(SCHEMA_VERSION) {
        match version {
            1 => from_1(&mut manifest),
            // Version 3 may give a workload its own numbers of warm-ups and values. In version 2 all have the design's.
            2 => {}
            _ => return None,
        }
        version += 1;
        manifest["schema_version"] = json!(version);
    }
    (version == u64::from(SCHEMA_VERSION)).then_some(manifest)
}

/// Version 2 says where a run is looked at, by which criteria it was to be judged, and which module was measured. A run of
/// version 1 was looked at once, and didn't note the others.
fn from_1(manifest: &mut Value) {
    if let Some(design) = manifest.get_mut("design").and_then(Value::as_object_mut) {
        design.entry("looks").or_insert_with(|| json!([]));
    }
    if let Some(manifest) = manifest.as_object_mut() {
        manifest.entry("criteria_sha256").or_insert(Value::Null);
        manifest.entry("module_sha256").or_insert(Value::Null);
    }
}

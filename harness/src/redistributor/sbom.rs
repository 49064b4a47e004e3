//! The bill of materials: `CycloneDX` 1.6 as JSON (ECMA-424). The same sources give the same bytes.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Dependency;
use super::packages::{PACKAGE, Packages};

/// The document, with the time of the sources' commit.
pub(super) fn document(packages: &Packages, created: &str) -> Value {
    let component = |d: &Dependency, scope: &str| {
        let mut value = json!({
            "type": "library",
            "bom-ref": purl(&d.name, &d.version),
            "name": d.name,
            "version": d.version,
            "scope": scope,
            "purl": purl(&d.name, &d.version),
        });
        if !d.licence.is_empty() {
            // Cargo's older form separates alternatives by a slash, which SPDX doesn't have.
            value["licenses"] = json!([{"expression": d.licence.replace('/', " OR ")}]);
        }
        if let Some(sum) = &d.sha256 {
            value["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
        }
        value
    };
    let (own, others): (Vec<&Dependency>, Vec<&Dependency>) = packages.linked.iter().partition(|d| d.name == PACKAGE);
    let mut components: Vec<Value> = others.into_iter().map(|d| component(d, "required")).collect();
    // What runs at build time and isn't part of the module: CycloneDX calls that excluded.
    components.extend(packages.build_only.iter().map(|d| component(d, "excluded")));
    let dependencies: Vec<Value> = packages
        .edges
        .iter()
        .map(|((name, version), to)| {
            let to: Vec<String> = to.iter().map(|(name, version)| purl(name, version)).collect();
            json!({"ref": purl(name, version), "dependsOn": to})
        })
        .collect();
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": created,
            "component": own.first().map(|d| component(d, "required")),
            "tools": {"components": [{"type": "application", "name": "pepjit", "version": env!("CARGO_PKG_VERSION")}]},
        },
        "components": components,
        "dependencies": dependencies,
    });
    document["serialNumber"] = json!(serial(&document));
    document
}

fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// A UUID of version 8 that follows from the contents.
fn serial(document: &Value) -> String {
    let mut bytes = Sha256::digest(document.to_string());
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = bytes.iter().take(16).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_licences_and_edges_are_there_and_the_serial_follows_from_them() {
        let dependency = |name: &str, licence: &str, sum: Option<&str>| Dependency {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.to_owned(),
            sha256: sum.map(str::to_owned),
        };
        let key = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        let packages = Packages {
            linked: vec![dependency(PACKAGE, "MIT", None), dependency("lib", "MIT/Apache-2.0", Some("ab"))],
            build_only: vec![dependency("cc", "MIT", Some("cd"))],
            edges: [(key(PACKAGE), [key("cc"), key("lib")].into())].into(),
            ..Packages::default()
        };
        let made = document(&packages, "2026-01-02T03:04:05Z");
        assert_eq!(made["metadata"]["component"]["purl"], "pkg:cargo/pepjit-runtime@1.0.0");
        assert_eq!(made["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(made["components"][0]["hashes"][0]["content"], "ab");
        assert_eq!(made["components"][1]["scope"], "excluded");
        assert_eq!(made["dependencies"][0]["dependsOn"], json!(["pkg:cargo/cc@1.0.0", "pkg:cargo/lib@1.0.0"]));
        assert_eq!(made, document(&packages, "2026-01-02T03:04:05Z"));
        assert_ne!(made["serialNumber"], document(&packages, "2026-01-02T03:04:06Z")["serialNumber"]);
        let serial = made["serialNumber"].as_str().unwrap();
        assert_eq!((serial.len(), &serial[..9], &serial[23..24]), (45, "urn:uuid:", "8"));
    }
}

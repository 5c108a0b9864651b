//! `deny.toml` kept to: what `cargo metadata` knows of every package in the tree, against the licences, sources and bans there.
//! `cargo deny` takes longer to build than haul; this reads the same file and leaves out only what it does besides.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The rules of `deny.toml`.
struct Rules {
    licences: Vec<String>,
    sources: Vec<String>,
    banned: Vec<String>,
}

/// The oldest Rust that is promised. What of the standard library is newer than that is a lint of clippy.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Which release of Rust this is, whatever was mended in it.
fn release(version: Option<&str>) -> Vec<u32> {
    version.unwrap_or_default().split('.').take(2).filter_map(|number| number.parse().ok()).collect()
}

/// The texts in quotes of a list, from its name to its closing bracket.
fn list(toml: &str, name: &str) -> Vec<String> {
    let begins = format!("{name} = [");
    let lines = toml.lines().skip_while(|line| !line.starts_with(&begins));
    let mut texts = Vec::new();
    for line in lines {
        let line = line.split('#').next().unwrap_or_default();
        texts.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
        if line.trim_end().ends_with(']') {
            return texts;
        }
    }
    panic!("deny.toml has no list `{name}`")
}

impl Rules {
    fn of(toml: &str) -> Self {
        // Of each ban the crate, and not the reason.
        let crates = toml.lines().filter_map(|line| line.split_once("crate = \"")?.1.split('"').next());
        Self {
            licences: list(toml, "allow"),
            sources: list(toml, "allow-registry"),
            banned: crates.map(str::to_owned).collect(),
        }
    }

    /// What is wrong with a package.
    fn broken(&self, package: &Value) -> Option<String> {
        let text = |name: &str| package[name].as_str();
        let name = text("name").unwrap_or_default();
        let said = match (text("license"), text("source")) {
            _ if self.banned.iter().any(|banned| banned == name) => "is banned".to_owned(),
            (None, _) => "says no licence".to_owned(),
            (Some(licence), _) if !self.allows(licence) => format!("has the licence {licence}"),
            (_, Some(source)) if !self.knows(source) => format!("comes from {source}"),
            _ if release(text("rust_version")) > release(Some(RUST)) => format!("needs a Rust newer than {RUST}"),
            _ if name == "haul" => wildcard(package)?,
            _ => return None,
        };
        Some(format!("{name} {}: {said}", text("version").unwrap_or_default()))
    }

    fn knows(&self, source: &str) -> bool {
        source.strip_prefix("registry+").is_some_and(|registry| self.sources.iter().any(|known| known == registry))
    }

    /// An expression of SPDX, or two licences with a slash, as it was written before there were those.
    fn allows(&self, licence: &str) -> bool {
        let spaced = licence.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        let allowed = self.either(&mut words);
        allowed && words.next().is_none()
    }

    fn either<'w>(&self, words: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>) -> bool {
        let mut allowed = self.all(words);
        while words.next_if_eq(&"OR").is_some() {
            allowed |= self.all(words);
        }
        allowed
    }

    fn all<'w>(&self, words: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>) -> bool {
        let mut allowed = self.one(words);
        while words.next_if_eq(&"AND").is_some() {
            allowed &= self.one(words);
        }
        allowed
    }

    fn one<'w>(&self, words: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>) -> bool {
        match words.next() {
            Some("(") => self.either(words) & (words.next() == Some(")")),
            // An exception to a licence is another one.
            Some(name) if words.next_if_eq(&"WITH").is_some() => {
                let whole = format!("{name} WITH {}", words.next().unwrap_or_default());
                self.licences.contains(&whole)
            }
            Some(name) => self.licences.iter().any(|licence| licence == name),
            None => false,
        }
    }
}

/// A dependency of any version at all.
fn wildcard(package: &Value) -> Option<String> {
    let dependencies = package["dependencies"].as_array()?;
    let any = dependencies.iter().find(|dependency| dependency["req"] == "*")?;
    Some(format!("takes any version of {}", any["name"]))
}

// Seen failing with Unicode-3.0 taken out of the list: 21 packages; and with 1.93 promised: those of sqlx.
#[test]
fn every_package_of_the_tree_is_as_deny_toml_wants_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = Rules::of(&std::fs::read_to_string(root.join("deny.toml")).expect("the rules"));
    let asked = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(root)
        .output()
        .expect("cargo");
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    let tree: Value = serde_json::from_slice(&asked.stdout).expect("what cargo knows");
    let packages = tree["packages"].as_array().expect("packages");
    assert!(packages.len() > 100, "all of them: {}", packages.len());
    let broken: Vec<String> = packages.iter().filter_map(|package| rules.broken(package)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn what_deny_toml_does_not_want_is_seen() {
    let rules = Rules::of(
        "allow = [\n  \"MIT\", # a comment\n  \"ISC\",\n]\nallow-registry = [\"https://r\"]\ndeny = [\n  { crate = \"x\", reason = \"y\" },\n]\n",
    );
    for (licence, fine) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("GPL-3.0 OR MIT AND ISC", true),
        ("GPL-3.0 AND MIT OR Zlib", false),
        ("MIT WITH an-exception", false),
        ("(MIT", false),
        ("MIT)", false),
        ("", false),
    ] {
        assert_eq!(rules.allows(licence), fine, "{licence}");
    }
    let rust = std::cell::Cell::new("1.60.0");
    let package = |name: &str, licence: Option<&str>, source: Option<&str>| {
        rules.broken(&serde_json::json!({
            "name": name, "version": "1.0.0", "license": licence, "source": source, "rust_version": rust.get(),
            "dependencies": [{"name": "z", "req": "*"}],
        }))
    };
    assert_eq!(package("a", Some("MIT"), Some("registry+https://r")), None);
    assert_eq!(package("a", Some("MIT"), None), None);
    for (found, why) in [
        (package("x", Some("MIT"), None), "x 1.0.0: is banned"),
        (package("a", None, None), "a 1.0.0: says no licence"),
        (package("a", Some("GPL-3.0"), None), "a 1.0.0: has the licence GPL-3.0"),
        (package("a", Some("MIT"), Some("git+https://r")), "a 1.0.0: comes from git+https://r"),
        (package("haul", Some("MIT"), None), "haul 1.0.0: takes any version of \"z\""),
    ] {
        assert_eq!(found.as_deref(), Some(why));
    }
    rust.set("1.1000");
    let newer = package("a", Some("MIT"), None);
    assert_eq!(newer, Some(format!("a 1.0.0: needs a Rust newer than {RUST}")));
}

//! What a run was told, as the flags that say it. Secrets stand in it by name, as they are stored.

use std::time::Duration;

use humantime::format_duration;
use serde_json::Value;

use crate::report::words::plain;
use crate::settings::Settings;

/// Characters of a value that are shown: a body may be long.
const VALUE: usize = 400;

/// A flag and its value each; what is the default is left out, but for what matters most.
pub(super) fn rows(settings: &Settings) -> Vec<Vec<String>> {
    let mut rows = Rows { rows: Vec::new() };
    let template = &settings.template;
    let limits: Vec<_> = settings.limits.iter().map(|limit| limit.name.clone()).collect();
    let limits = if limits.is_empty() { "none".to_owned() } else { limits.join(", ") };
    rows.text("--rate", &limits);
    rows.text("--concurrency", &settings.concurrency.to_string());
    rows.option("--url", template.url.as_deref());
    rows.option("--method", template.method.as_deref());
    template.headers.iter().for_each(|header| rows.text("--header", header));
    rows.option("--data", template.body.as_deref());
    rows.option("--json-body", template.json_body.as_deref());
    rows.option("--key", template.key.as_deref());
    rows.option("--base-url", template.base_url.as_deref());
    rows.option("--process", settings.process.as_deref());
    if settings.processor.as_deref() != settings.process.as_deref() {
        rows.option("processor", settings.processor.as_deref());
    }
    rows.time("--sla", settings.sla);
    rows.time("--timeout", Some(settings.timeout));
    rest(settings, &mut rows);
    rows.rows
}

/// What is seldom said: by its name among the stored settings, where it is no default.
fn rest(settings: &Settings, rows: &mut Rows) {
    const TOLD: [&str; 8] =
        ["template", "limits", "concurrency", "process", "processor", "sla", "timeout", "idempotency_header"];
    let object = |settings: &Settings| match serde_json::to_value(settings) {
        Ok(Value::Object(object)) => object,
        _ => serde_json::Map::new(),
    };
    let (given, usual) = (object(settings), object(&Settings::default()));
    for (name, value) in
        given.iter().filter(|(name, value)| !TOLD.contains(&name.as_str()) && usual.get(*name) != Some(*value))
    {
        let flag = match name.as_str() {
            "guard" => "--allow-hosts, --block-private".to_owned(),
            "ca_file" => "--cacert".to_owned(),
            name => format!("--{}", name.replace('_', "-")),
        };
        rows.text(&flag, &words(value));
    }
    if settings.idempotency_header != Settings::default().idempotency_header {
        rows.text("--idempotency-header", settings.idempotency_header.as_deref().unwrap_or("none"));
    }
    let jitters: Vec<_> =
        settings.limits.iter().filter(|limit| limit.jitter_us != crate::limit::DEFAULT_JITTER_US).collect();
    if let Some(limit) = jitters.first() {
        rows.text("--jitter", &format_duration(crate::clock::span(limit.jitter_us)).to_string());
    }
}

/// A stored value as people write it.
fn words(value: &Value) -> String {
    let seconds = |value: &Value| {
        let object = value.as_object().filter(|object| object.len() == 2)?;
        let (secs, nanos) = (object.get("secs")?.as_u64()?, object.get("nanos")?.as_u64()?);
        Some(format_duration(Duration::new(secs, u32::try_from(nanos).ok()?)).to_string())
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(object) => seconds(value).unwrap_or_else(|| {
            object
                .iter()
                .map(|(name, value)| format!("{}: {}", name.replace('_', " "), words(value)))
                .collect::<Vec<_>>()
                .join("; ")
        }),
        other => other.to_string(),
    }
}

struct Rows {
    rows: Vec<Vec<String>>,
}

impl Rows {
    fn text(&mut self, flag: &str, value: &str) {
        self.rows.push(vec![flag.to_owned(), plain(value, VALUE)]);
    }

    fn option(&mut self, flag: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(flag, value);
        }
    }

    fn time(&mut self, flag: &str, time: Option<Duration>) {
        if let Some(time) = time {
            self.text(flag, &format_duration(time).to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;

    #[test]
    fn settings_are_told_as_the_flags_that_say_them() {
        let mut settings =
            Settings { max_attempts: 9, process_timeout: Duration::from_millis(1500), ..Settings::default() };
        settings.limits = vec!["20/s".parse::<Limit>().expect("a limit")];
        settings.template.headers = vec!["Authorization: Bearer {{ env('KEY') }}".to_owned()];
        let rows = rows(&settings);
        let of = |flag: &str| rows.iter().find(|row| row[0] == flag).map(|row| row[1].as_str());
        assert_eq!(of("--rate"), Some("20/s"));
        assert_eq!(of("--header"), Some("Authorization: Bearer {{ env('KEY') }}"));
        assert_eq!(
            (of("--max-attempts"), of("--process-timeout"), of("--compress")),
            (Some("9"), Some("1s 500ms"), None)
        );
    }
}

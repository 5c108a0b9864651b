//! Outputs of a filter, written as JSON. jaq's values are a superset: what JSON has no words for is said or refused here.

use jaq_json::{Num, Val};

use super::value;
use crate::process::bounds::MAX_NESTING;
use crate::process::plain;

/// What a filter may put out for one job, in bytes: a filter that never ends must not take all memory.
const MAX_BYTES: usize = 64 << 20;

/// The outputs so far: an array without its end.
#[derive(Default)]
pub(super) struct Outputs {
    json: Vec<u8>,
    count: usize,
}

impl Outputs {
    /// Adds one output.
    ///
    /// # Errors
    /// Why it cannot be written as JSON.
    pub(super) fn push(&mut self, output: Val) -> Result<(), String> {
        self.json.push(if self.count == 0 { b'[' } else { b',' });
        self.count += 1;
        let written = write(&mut self.json, &output, MAX_NESTING);
        if written.is_err() {
            value::dismantle(output);
        }
        written
    }

    /// There was no output.
    pub(super) fn are_none(&self) -> bool {
        self.count == 0
    }

    /// The outputs as one value: itself, an array where there are several, null where there is none.
    ///
    /// # Errors
    /// Never in fact: only UTF-8 is written.
    pub(super) fn finish(mut self) -> Result<String, String> {
        match self.count {
            0 => self.json.extend(b"null"),
            1 => _ = self.json.remove(0), // in bounds: an output begins with its bracket
            _ => self.json.push(b']'),
        }
        String::from_utf8(self.json).map_err(|error| error.to_string())
    }
}

fn write(json: &mut Vec<u8>, value: &Val, levels: usize) -> Result<(), String> {
    if json.len() > MAX_BYTES {
        return Err("the filter puts out more than 64 MiB".to_owned());
    }
    let deeper = || levels.checked_sub(1).ok_or_else(|| "the filter's output nests deeper than 100 levels".to_owned());
    match value {
        Val::Null => json.extend(b"null"),
        Val::Bool(true) => json.extend(b"true"),
        Val::Bool(false) => json.extend(b"false"),
        Val::Num(number) => write_number(json, number),
        Val::TStr(text) => write_text(json, &String::from_utf8_lossy(text))?,
        Val::BStr(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => write_text(json, text)?,
            Err(_) => return Err("the filter puts out bytes that are no text; `@base64` makes text of them".to_owned()),
        },
        Val::Arr(values) => {
            let levels = deeper()?;
            json.push(b'[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    json.push(b',');
                }
                write(json, value, levels)?;
            }
            json.push(b']');
        }
        Val::Obj(members) => {
            let levels = deeper()?;
            json.push(b'{');
            for (i, (name, value)) in members.iter().enumerate() {
                if i > 0 {
                    json.push(b',');
                }
                write_name(json, name)?;
                json.push(b':');
                write(json, value, levels)?;
            }
            json.push(b'}');
        }
    }
    Ok(())
}

fn write_name(json: &mut Vec<u8>, name: &Val) -> Result<(), String> {
    match name {
        Val::TStr(text) => write_text(json, &String::from_utf8_lossy(text)),
        other => {
            let shown = value::first_chars(other, 40);
            Err(format!("the filter puts out an object with a key that is no string: {shown}"))
        }
    }
}

fn write_text(json: &mut Vec<u8>, text: &str) -> Result<(), String> {
    serde_json::to_writer(json, text).map_err(|error| error.to_string())
}

fn write_number(json: &mut Vec<u8>, number: &Num) {
    let finite = |float: f64| if float.is_finite() { Num::Float(float).to_string() } else { "null".to_owned() };
    let text = match number {
        Num::Int(_) | Num::BigInt(_) => number.to_string(),
        Num::Float(float) => finite(*float),
        // As it stood in the response, every digit of it, unless it was more than JSON there: `+1.5`, `007.5`.
        Num::Dec(digits) if plain::is_json(digits) => digits.to_string(),
        Num::Dec(digits) => finite(digits.parse().unwrap_or(f64::NAN)),
    };
    json.extend(text.into_bytes());
}

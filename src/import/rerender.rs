//! What other templates mean for a job that is there: pure.

use crate::request::Request;
use crate::store::{Change, Stored};
use crate::template::{Made, Template};

/// Judges a job by what the templates that were in force make of its row, and what others would.
///
/// A job not sent yet whose request the old templates make gets the request of the new ones. A key that the old templates
/// make becomes that of the new ones, of jobs that were sent too, so that the same input adds nothing under the new templates
/// either; keys that the rows say themselves stay. Of a job that was sent, a row from which the new templates make nothing is no matter: no input adds it again.
#[must_use]
pub fn judge(old: &Template, new: &Template, stored: &Stored) -> Change {
    let Ok(before) = old.make(stored.request.row.clone(), None) else { return Change::Stay };
    let made = stored.unsent && says_the_same(&before.request, &stored.request);
    let rest = rest_of_key(&stored.key, &before.key, before.hashed);
    if !made && (stored.unsent || rest.is_none()) {
        return Change::Stay;
    }
    let Made { key, hashed, request } = match new.make(stored.request.row.clone(), None) {
        Ok(made) => made,
        Err(refusal) if made => return Change::Refuse(refusal.to_string()),
        Err(_) => return Change::Stay,
    };
    let key = rest.map(|rest| if hashed { key + rest } else { key });
    Change::To {
        key: key.filter(|key| *key != stored.key),
        request: Some(request).filter(|request| made && *request != stored.request),
    }
}

/// What stands behind the key that templates made: the place among equal requests that are kept apart, else nothing. `None`:
/// it is not their key.
fn rest_of_key<'k>(key: &'k str, made: &str, hash: bool) -> Option<&'k str> {
    let rest = key.strip_prefix(made)?;
    let place = rest.strip_prefix('-').is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
    (rest.is_empty() || (hash && place)).then_some(rest)
}

/// The row is what is made of it, not what is asked.
fn says_the_same(one: &Request, other: &Request) -> bool {
    (&one.method, &one.url, &one.headers, &one.body) == (&other.method, &other.url, &other.headers, &other.body)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::settings::RequestTemplate;

    fn template(url: &str, key: Option<&str>) -> Template {
        let given =
            RequestTemplate { url: Some(url.to_owned()), key: key.map(str::to_owned), ..RequestTemplate::default() };
        Template::compile(&given).unwrap()
    }

    fn row(id: &str) -> Map<String, Value> {
        Map::from_iter([("id".to_owned(), Value::from(id))])
    }

    fn made(by: &Template, id: &str, unsent: bool) -> Stored {
        let (key, request) = by.render(row(id)).unwrap();
        Stored { job: 1, key, unsent, request }
    }

    #[test]
    fn what_was_sent_gets_the_new_key_alone_and_what_was_not_the_request_too() {
        let (old, new) = (template("http://h/1/{{ id }}", None), template("http://h/2/{{ id }}", None));
        let (key, request) = new.render(row("7")).unwrap();
        let unsent = judge(&old, &new, &made(&old, "7", true));
        assert_eq!(unsent, Change::To { key: Some(key.clone()), request: Some(request) });
        assert_eq!(judge(&old, &new, &made(&old, "7", false)), Change::To { key: Some(key), request: None });
    }

    // Seen failing where the request decided about the key: an answer to the first template was asked for by the third.
    #[test]
    fn an_answer_keeps_up_with_a_second_change() {
        let [a, b, c] = [1, 2, 3].map(|n| template(&format!("http://h/{n}/{{{{ id }}}}"), None));
        let mut answered = made(&a, "7", false);
        for (old, new) in [(&a, &b), (&b, &c)] {
            let Change::To { key: Some(key), request: None } = judge(old, new, &answered) else { panic!("no new key") };
            answered.key = key;
        }
        assert_eq!(answered.key, c.render(row("7")).unwrap().0);
    }

    #[test]
    fn equal_requests_that_were_kept_apart_stay_apart() {
        let (old, new) = (template("http://h/1/{{ id }}", None), template("http://h/2/{{ id }}", None));
        let mut second = made(&old, "7", true);
        second.key += "-2";
        let Change::To { key: Some(key), .. } = judge(&old, &new, &second) else { panic!("no new key") };
        assert_eq!(key, new.render(row("7")).unwrap().0 + "-2");
    }

    #[test]
    fn a_given_key_stays_unless_it_is_given_anew() {
        let old = template("http://h/1/{{ id }}", Some("{{ id }}"));
        let new = template("http://h/2/{{ id }}", Some("{{ id }}"));
        let other = template("http://h/2/{{ id }}", Some("k{{ id }}"));
        assert!(matches!(judge(&old, &new, &made(&old, "7", true)), Change::To { key: None, request: Some(_) }));
        let Change::To { key, .. } = judge(&old, &other, &made(&old, "7", false)) else { panic!("no new key") };
        assert_eq!(key.as_deref(), Some("k7"));
        // No place among equals: another job's key, which only begins like this one.
        let mut longer = made(&old, "7", false);
        longer.key += "-2";
        assert_eq!(judge(&old, &other, &longer), Change::Stay);
    }

    #[test]
    fn what_the_old_templates_did_not_make_stays() {
        let (old, new) = (template("http://h/1/{{ id }}", None), template("http://h/2/{{ id }}", None));
        let mut own = made(&old, "7", true);
        own.request.url = "http://elsewhere/".to_owned();
        assert_eq!(judge(&old, &new, &own), Change::Stay);
        own.request.row.clear();
        assert_eq!(judge(&old, &new, &own), Change::Stay);
    }

    #[test]
    fn a_row_without_a_request_is_refused_only_where_it_was_not_sent() {
        let (old, new) = (template("http://h/1/{{ id }}", None), template("http://h/2/{{ nr }}", None));
        assert!(matches!(judge(&old, &new, &made(&old, "7", true)), Change::Refuse(why) if why.contains("\"nr\"")));
        assert_eq!(judge(&old, &new, &made(&old, "7", false)), Change::Stay);
    }
}

//! The verbs of an import, and of what changes the jobs that it brought.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::tables::{Import, Job, Tables, next_id};
use crate::clock::Micros;
use crate::job::{Standing, State};
use crate::request::Request;
use crate::store::{
    Change, Chunk, Done, Imported, NewJob, OnConflict, Reject, Rerender, Rerendered, StoreError, Stored,
};

impl Tables {
    pub(super) fn begin_import(&mut self, source: &str, template: Option<&str>, now_us: Micros) -> i64 {
        let id = next_id(&self.imports);
        let import = Import {
            source: source.to_owned(),
            template: template.map(str::to_owned),
            after_run: self.runs.last_key_value().map_or(0, |(id, _)| *id),
            started_at_us: now_us,
            rows: 0,
            added: 0,
            updated: 0,
            rejected: 0,
        };
        self.imports.insert(id, import);
        id
    }

    /// The rows that were refused for what is there already come back too.
    pub(super) fn import(&mut self, import: i64, chunk: &Chunk, now_us: Micros) -> Done<(Imported, Vec<Reject>)> {
        if !self.imports.contains_key(&import) {
            return Err(StoreError::Database {
                doing: "import rows".to_owned(),
                source: "there is no such import".into(),
            });
        }
        let mut done = Imported::default();
        let mut conflicts = Vec::new();
        // Ids by place in the chunk, as a database gives them; known keys leave gaps.
        let mut next = next_id(&self.jobs);
        let mut seen: BTreeMap<&str, &Request> = BTreeMap::new();
        let replaces = chunk.jobs.iter().any(|job| job.on_conflict == OnConflict::Update);
        for (place, new) in chunk.jobs.iter().enumerate() {
            let again = seen.insert(&new.key, &new.request).is_some_and(|request| *request != new.request);
            if again && replaces {
                // A database cuts the chunk here, and counts anew.
                next = next_id(&self.jobs) - place as i64;
                seen = BTreeMap::from([(new.key.as_str(), &new.request)]);
            }
            match self.keys.get(&new.key).copied() {
                Some(known) => self.know(known, new, &mut done, &mut conflicts),
                None => {
                    self.insert_job(next + place as i64, fresh(import, new, now_us));
                    done.added += 1;
                }
            }
        }
        done.rejected = (chunk.rejects.len() + conflicts.len()) as u64;
        for reject in chunk.rejects.iter().chain(&conflicts) {
            self.rejected.entry((import, reject.line)).or_insert_with(|| reject.clone());
        }
        if let Some(import) = self.imports.get_mut(&import) {
            import.rows += (chunk.jobs.len() + chunk.rejects.len()) as u64;
            import.added += done.added;
            import.updated += done.updated;
            import.rejected += done.rejected;
        }
        Ok((done, conflicts))
    }

    /// A row whose key is known.
    fn know(&mut self, id: i64, new: &NewJob, done: &mut Imported, conflicts: &mut Vec<Reject>) {
        let Some(known) = self.jobs.get_mut(&id) else { return };
        let same = says_the_same(&known.request, &new.request);
        match new.on_conflict {
            OnConflict::Update if unsent(id, known, &self.attempts) && known.request != new.request => {
                Arc::make_mut(known).request = new.request.clone();
                done.updated += 1;
            }
            OnConflict::Update | OnConflict::Reject if !same => conflicts.push(other_request(new, known)),
            _ => done.known += 1,
        }
    }

    pub(super) fn rerender(&mut self, change: &Rerender<'_>, now_us: Micros) -> Rerendered {
        let mut done = Rerendered::default();
        let mut untouched = BTreeSet::new();
        let mut keys = BTreeMap::new();
        for (id, job) in &mut self.jobs {
            let stored = Stored {
                job: *id,
                key: job.key.clone(),
                unsent: unsent(*id, job, &self.attempts),
                request: job.request.clone(),
            };
            let judged = (change.judge)(&stored);
            done.count(&stored, &judged);
            if !job.standing.state.is_final() && (!stored.unsent || judged == Change::Stay) {
                untouched.insert(job.import);
            }
            let (mut new_key, mut new_request) = (None, None);
            if let Change::To { key, request } = judged {
                (new_key, new_request) = (key, request);
            }
            let job = Arc::make_mut(job);
            job.key = new_key.unwrap_or(stored.key);
            job.request = new_request.unwrap_or(stored.request);
            if let Some(other) = keys.insert(job.key.clone(), *id) {
                done.clash(*id, other, &job.key);
            }
        }
        self.keys = keys;
        for import in self.imports.iter_mut().filter(|(id, _)| !untouched.contains(id)).map(|(_, import)| import) {
            if import.template.as_deref() == Some(change.old) {
                import.template = Some(change.new.to_owned());
            }
        }
        if let Some(source) = self.imports.last_key_value().map(|(_, import)| import.source.clone()) {
            self.begin_import(&source, Some(change.new), now_us);
        }
        done
    }

    pub(super) fn template(&self) -> Option<String> {
        let newest = self.imports.values().rev().find(|import| import.template.is_some())?;
        let run = self.runs.last_key_value().map_or(0, |(id, _)| *id);
        newest.template.clone().filter(|_| newest.after_run == run)
    }
}

/// It was never sent, and is not being sent now: a claim that was given back leaves no attempt.
fn unsent(id: i64, job: &Job, attempts: &BTreeMap<(i64, u32), super::tables::Attempt>) -> bool {
    let known = attempts.range((id, 0)..=(id, u32::MAX)).next();
    job.standing.state == State::Pending && job.run.is_none() && known.is_none()
}

/// Whether two requests ask the same of the server. The row is what is made of it, not what is asked.
fn says_the_same(one: &Request, other: &Request) -> bool {
    (&one.method, &one.url, &one.headers, &one.body) == (&other.method, &other.url, &other.headers, &other.body)
}

/// A job that was never claimed.
fn fresh(import: i64, new: &NewJob, now_us: Micros) -> Job {
    Job {
        key: new.key.clone(),
        import,
        line: new.line,
        request: new.request.clone(),
        standing: Standing { state: State::Pending, failures: 0, generation: 0, crashes: 0, was: None },
        attempts: 0,
        due_at_us: 0,
        run: None,
        error: None,
        created_at_us: now_us,
        finished_at_us: None,
    }
}

fn other_request(new: &NewJob, known: &Job) -> Reject {
    let reason = format!(
        "the key `{}` is known from line {} of import {} with another request; give this row a key of its own",
        new.key, known.line, known.import
    );
    let row = serde_json::Value::Object(new.request.row.clone()).to_string();
    Reject { line: new.line, reason, text: row.chars().take(1_000).collect() }
}

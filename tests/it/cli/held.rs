//! Everything that only reads works while a run is going.

use super::folder::Folder;
use crate::resume::bench::until;
use crate::server::{Answer, Asked, Gate, Reply, Script, Server};

// Seen failing with a snapshot that locks others out (`BEGIN EXCLUSIVE`).
#[test]
fn all_that_reads_works_while_a_run_is_going() {
    let gate = Gate::closed();
    let held = gate.clone();
    let server = Server::start(Script::new(move |asked: &Asked| -> Reply {
        match asked.key.as_str() {
            "held" => Reply::Held(held.clone(), Box::new(Answer::json("1").into())),
            "gone" => Answer::status(404).into(),
            _ => Answer::json(r#"{"n":1}"#).into(),
        }
    }));
    let folder = Folder::with("n.csv", "id\ngood\ngone\nheld\n");
    let url = format!("{}/{{{{ id }}}}", server.url());
    let run = folder.haul(&["run", "n.csv", "--url", &url, "--key", "{{ id }}", "--sla", "1s"]);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| run.exits(3));
        let count = "SELECT count(*) FROM jobs WHERE finished_at_us > 0";
        until("all but one are written", || {
            server.total() == 3 && folder.haul(&["query", "--tsv", count]).exits(0).out.ends_with("\n2\n")
        });
        for view in ["job_view", "failures", "latency", "sla", "throughput", "slowest"] {
            let said = folder.haul(&["query", &format!("SELECT * FROM {view}")]).exits(0).err_is("");
            assert!(said.out.starts_with("[\n{"), "{view}: {}", said.out);
        }
        folder.haul(&["status"]).exits(0).out_has("2 of 3 done");
        folder.haul(&["show", "held"]).exits(0).out_has("pending, a run works on it\n");
        folder.haul(&["show", "good", "--json"]).exits(0).out_has(r#""state": "succeeded""#);
        for form in ["jsonl", "csv", "openai-batch"] {
            let said = folder.haul(&["export", "--format", form]).exits(0).err_is("");
            assert_eq!(said.out.lines().count(), if form == "csv" { 3 } else { 2 }, "{}", said.out);
        }
        folder.haul(&["export", "--where", "running"]).exits(0).out_has(r#""key":"held","state":"pending""#);
        let join = ["export", "--join", "n.csv", "--url", &url, "--key", "{{ id }}"];
        assert_eq!(folder.haul(&join).exits(0).out.lines().count(), 3);
        assert_eq!(server.unanswered(), 1, "it is still going");
        gate.open();
        run.join().expect("a run");
    });
    folder.haul(&["export", "--where", "state = 'succeeded'"]).exits(0).out_has(r#""key":"held","state":"succeeded""#);
}

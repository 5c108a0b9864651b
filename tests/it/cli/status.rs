//! `status --watch`: for as long as a run is going.

use super::folder::Folder;
use crate::server::{Script, Server};

// Seen failing with an end at the first look.
#[test]
fn it_is_told_again_and_again_until_the_run_has_ended() {
    let server = Server::start(Script::ok());
    let urls: String = (0..40).map(|n| format!("{}/{n}\n", server.url())).collect();
    let folder = Folder::with("urls.txt", &urls);
    folder.haul(&["import", "urls.txt"]).exits(0);
    let line = "haul -q run -r 20/s >run.txt & until haul status --json | grep -q '\"phase\": \"running\"'; do :; done; \
                haul status --json --watch=100ms; wait";
    let said = folder.shell(line).exits(0).err_is("");
    let told: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert!(told.len() > 3, "{}", said.out);
    let (last, first) = (told.last().expect("one"), &told[0]);
    assert_eq!((&first["run"]["phase"], &last["run"]["phase"]), (&"running".into(), &"ended".into()));
    assert_eq!(last["jobs"]["succeeded"], 40);
    // Where no run is going it is told once.
    let once = folder.haul(&["status", "--watch"]).exits(0).out;
    assert!(once.starts_with("jobs      40 of 40 done") && !once.contains('\x1b'), "{once}");
}

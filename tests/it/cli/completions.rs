//! What shells and `man` are given.

use super::folder::{Folder, installed};
use super::help::VERBS;

// Seen failing with the name of another program in the script.
#[test]
fn bash_completes_commands_flags_and_values() {
    if !installed("bash") {
        return;
    }
    let folder = Folder::new();
    folder.shell("haul completions bash > haul.bash && bash -n haul.bash").exits(0).err_is("");
    for (typed, completed) in [("sta", "status"), ("status --wa", "--watch"), ("run --progress js", "json")] {
        let words: Vec<_> = typed.split(' ').collect();
        let at = words.len();
        let line = format!(
            "bash -c '. ./haul.bash; COMP_WORDS=(haul {typed}); COMP_CWORD={at}; _haul haul {} {}; echo \"${{COMPREPLY[@]}}\"'",
            words[at - 1],
            if at > 1 { words[at - 2] } else { "haul" }
        );
        folder.shell(&line).exits(0).err_is("").out_is(&format!("{completed}\n"));
    }
}

#[test]
fn every_shell_is_given_every_verb() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = folder.haul(&["completions", shell]).exits(0).err_is("");
        for (verb, _) in VERBS {
            assert!(said.out.contains(verb), "{shell}: {verb}");
        }
        if ["zsh", "fish"].contains(&shell) && installed(shell) {
            folder.shell(&format!("haul completions {shell} > script && {shell} -n script")).exits(0).err_is("");
        }
    }
    folder.haul(&["completions", "bsh"]).exits(2).err_has("a similar value exists: 'bash'");
    folder.shell("{ haul completions zsh; echo $? >code; } | true").exits(0).err_is("");
    assert_eq!(std::fs::read_to_string(folder.path("code")).expect("a code"), "0\n", "a closed pipe ends quietly");
}

// Seen failing with examples whose lines roff may fill.
#[test]
fn the_manual_has_a_page_for_each_verb_and_roff_finds_no_fault_in_it() {
    let folder = Folder::new();
    folder.haul(&["man", "--dir", "none"]).exits(1).err_has("the folder of --dir must be there");
    std::fs::create_dir(folder.path("man1")).expect("a folder");
    folder.haul(&["man", "--dir", "man1"]).exits(0).err_is("").out_is("");
    let whole = folder.haul(&["man"]).exits(0).err_is("").out;
    assert_eq!(whole, std::fs::read_to_string(folder.path("man1/haul.1")).expect("a page"));
    for (verb, _) in VERBS {
        let page = std::fs::read_to_string(folder.path(&format!("man1/haul-{verb}.1"))).expect("a page");
        assert!(page.contains(&format!(".TH haul-{verb} 1")) && page.contains(".SH EXAMPLES\n.nf"), "{verb}: {page}");
    }
    if installed("groff") {
        let lint = "for page in man1/*.1; do groff -man -Tutf8 -ww -z $page || exit 1; done";
        folder.shell(lint).exits(0).err_is("");
        let shown = folder.shell("groff -man -Tascii -P-c man1/haul-pause.1").exits(0);
        assert!(
            shown.out.contains("haul pause\n") && shown.out.contains("haul --db other.db pause\n"),
            "{}",
            shown.out
        );
    }
}

//! Redirects to where nothing is to be found, or nothing is to be looked for.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::row::Row;
use super::secure::{Secure, head};
use super::wire::Hostile;

/// A server that sends everybody there.
fn to(location: &'static str) -> Hostile {
    Hostile::start(move |wire| wire.answer(302, &format!("location: {location}\r\n"), ""))
}

#[test]
fn a_redirect_is_followed_a_few_times_and_to_the_web_alone() {
    Row::permanent("N11 a redirect, which is not followed", "302", "").meets(&to("/1"));
    let follows: &[&str] = &["--max-redirects", "3"];
    let refused =
        |fault, says, server: &Hostile| drop(Row::permanent(fault, "redirect", says).with(follows).meets(server));
    refused("N11 a circle", "the redirects lead in a circle", &to("/0"));
    let nth = AtomicU64::new(0);
    let far = Hostile::start(move |wire| {
        wire.answer(302, &format!("location: /{}\r\n", nth.fetch_add(1, Ordering::SeqCst) + 1), "")
    });
    refused("N11 twenty hops", "more than 3 redirects in a row", &far);
    assert_eq!(far.asked(), 4);
    refused("N11 to a file", "only http and https are followed", &to("file:///etc/passwd"));
    refused("N11 to the credentials of this machine", "link-local", &to("http://169.254.169.254/latest/meta-data"));
    refused("N11 with a password", "a user or a password", &to("http://bob:secret@127.0.0.1/"));
    refused("N11 to nowhere", "no URL", &to("http://[::1"));
    refused("N11 without a Location", "without a Location", &Hostile::start(|wire| wire.answer(302, "", "")));
    let plain = Secure::start("http/1.1", follows, |stream| {
        while head(stream)? {
            stream.write_all(b"HTTP/1.1 302 x\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n")?;
        }
        Ok(())
    });
    if let Some(server) = plain {
        let row = Row::permanent("N11 from https to http", "redirect", "where everybody could read along");
        row.with(server.flags).at(&server.url);
    }
}

#[test]
fn a_redirect_takes_no_secret_to_another_server() {
    let (told, heard) = std::sync::mpsc::channel();
    let other = crate::server::Server::start(crate::server::Script::new(move |asked: &crate::server::Asked| {
        told.send(asked.headers.clone()).expect("the test waits for it");
        crate::server::Answer::json("1")
    }));
    let away = Box::leak(format!("location: {}/0\r\n", other.url()).into_boxed_str());
    let server = Hostile::start(|wire| wire.answer(302, away, ""));
    let flags: &[&str] = &["--max-redirects", "1", "-H", "X-Api-Key: Zq7xK", "-H", "Authorization: Bearer Zq7xK"];
    let bench = crate::resume::bench::Bench::empty();
    let urls = bench.db().with_file_name("urls.txt");
    std::fs::write(&urls, format!("http://{}/0\n", server.address())).expect("a file");
    bench.run(&[&["run", "urls.txt"], flags].concat()).exits(0);
    let headers = heard.recv().expect("a request");
    assert!(!format!("{headers:?}").contains("Zq7xK"), "{headers:?}");
    crate::resume::bench::card(&format!(
        "{:<58} -               fine      0 without its secrets",
        "N11 to another host"
    ));
}

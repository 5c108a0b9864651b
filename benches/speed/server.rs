//! A server that costs as little as one can: keep-alive, one thread, the same 200 bytes of JSON for every request.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The body of every answer.
pub(crate) const BYTES: usize = 200;

/// Serves until it is killed; says its port first.
#[expect(clippy::print_stdout, reason = "who started it reads the port")]
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        println!("{}", listener.local_addr().expect("bound").port());
        let answer: &'static [u8] = Box::leak(answer().into_boxed_slice());
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_all(stream, answer));
        }
    });
}

fn answer() -> Vec<u8> {
    let head = r#"{"id":12345,"below":10000,"name":""#;
    let body = format!("{head}{}\"}}", "x".repeat(BYTES - head.len() - 2));
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    (head + &body).into_bytes()
}

/// Requests have no body, so each ends with an empty line.
async fn answer_all(mut stream: TcpStream, answer: &[u8]) {
    // Without it the kernel would hold answers up.
    stream.set_nodelay(true).expect("a socket");
    let (mut buffer, mut held) = (vec![0; 8192], 0);
    loop {
        match stream.read(&mut buffer[held..]).await {
            Ok(0) | Err(_) => return,
            Ok(more) => held += more,
        }
        if buffer[..held].ends_with(b"\r\n\r\n") {
            held = 0;
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

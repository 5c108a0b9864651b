//! A way to a server that takes a while, each time another: a TCP proxy that keeps the order of each connection.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use haul::backoff::chance;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What a timer of tokio may add to a wait.
const TIMER: Duration = Duration::from_millis(1);

/// A proxy at work, on a thread and a runtime of its own. Ends when it is dropped.
pub(crate) struct Way {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Way {
    /// What is sent to the server arrives after 0 up to `longest`, at random; answers come back at once.
    pub(crate) fn start(to: SocketAddr, longest: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            crate::server::go_first();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                tell.send(listener.local_addr().expect("an address")).expect("somebody waits for it");
                tokio::select! {
                    () = accept(listener, to, longest) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().expect("the proxy starts");
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    /// Its root, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            _ = thread.join(); // a panic in it was printed
        }
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, longest: Duration) {
    for nth in 0.. {
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, to, longest, nth));
        }
    }
}

/// Both directions, until either ends.
async fn carry(client: TcpStream, to: SocketAddr, longest: Duration, nth: i64) -> io::Result<()> {
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut asked, mut answering) = client.into_split();
    let (mut answered, mut asking) = server.into_split();
    tokio::select! {
        ended = tokio::io::copy(&mut answered, &mut answering) => ended.map(|_| ()),
        ended = async {
            // A request is one piece here, and the next one comes only after its answer.
            let mut piece = vec![0; 64 << 10];
            for round in 0.. {
                let bytes = asked.read(&mut piece).await?;
                if bytes == 0 {
                    break;
                }
                tokio::time::sleep(longest.saturating_sub(TIMER).mul_f64(chance(1, nth, round))).await;
                asking.write_all(&piece[..bytes]).await?;
            }
            Ok(())
        } => ended,
    }
}

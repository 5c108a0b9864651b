//! Tells whether a request had to open a connection: then its way to the server took longer than its way back tells.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

/// Called at most once, as soon as a connection is being opened for a request.
pub type Opened = Arc<dyn Fn() + Send + Sync>;

tokio::task_local! {
    /// Whom to tell, while the request of this task is polled.
    static OPENED: Opened;
}

/// Polls a request so that [`Watch`] knows whose connection it opens.
pub(super) async fn watched<F: Future>(opened: Opened, request: F) -> F::Output {
    OPENED.scope(opened, request).await
}

/// A layer around reqwest's connector. The connector is called from within the request's own poll, so the task-local
/// names the request; a connection that loses the race against one that came free marks it all the same, which is safe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch;

impl<S> Layer<S> for Watch {
    type Service = Watched<S>;

    fn layer(&self, connector: S) -> Watched<S> {
        Watched(connector)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Watched<S>(S);

impl<S: Service<R>, R> Service<R> for Watched<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, to: R) -> S::Future {
        // An error here means that no request is being polled: a connection opened ahead, of which nobody need know.
        let _ = OPENED.try_with(|opened| opened());
        self.0.call(to)
    }
}

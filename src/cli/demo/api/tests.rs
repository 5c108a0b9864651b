use tokio::sync::oneshot;

use super::*;

#[test]
fn a_body_is_json_of_about_200_bytes_and_never_changes() {
    for id in [0, 17, 99_999] {
        let text = body(id);
        assert!((180..=220).contains(&text.len()), "{} bytes: {text}", text.len());
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((value["id"].as_u64(), value["below"].as_u64()), (Some(id), Some(10_000)));
        assert_eq!(body(id), text);
    }
}

#[test]
fn the_latency_varies_by_a_quarter_and_is_the_same_for_the_same_id() {
    let average = Duration::from_millis(80);
    let latencies: Vec<Duration> = (0..1_000).map(|id| latency(average, id)).collect();
    let mean = latencies.iter().sum::<Duration>() / 1_000;
    assert_eq!(latencies.iter().min(), Some(&Duration::from_millis(60)));
    assert_eq!(latencies.iter().max(), Some(&Duration::from_millis(100)));
    assert!((79..=81).contains(&mean.as_millis()), "{mean:?}");
    assert_eq!(latency(average, 7), latencies[7]);
}

#[tokio::test]
async fn what_exceeds_the_limit_is_refused_with_a_time_to_wait_and_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let config = Config { permits: 3, window: Duration::from_secs(60), latency: Duration::from_millis(4) };
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, config, Clock::start(), async { _ = stopped.await }));

    let mut statuses = Vec::new();
    for id in 0..5 {
        let response = reqwest::get(format!("{base}/numbers/{id}")).await.expect("an answer");
        let wait = response.headers().get("retry-after").map(|seconds| seconds.to_str().expect("text").to_owned());
        statuses.push((response.status().as_u16(), wait));
    }
    let sixty = Some("60".to_owned());
    assert_eq!(statuses, [(200, None), (200, None), (200, None), (429, sixty.clone()), (429, sixty)]);

    let page = reqwest::get(format!("{base}/stats")).await.expect("an answer").text().await.expect("a body");
    assert_eq!(page, r#"{"total":5,"answered":3,"refused":2,"most_in_window":5,"limit":3}"#);
    stop.send(()).expect("the server listens");
    let stats = server.await.expect("no panic").expect("no error");
    assert_eq!((stats.total, stats.refused), (5, 2));
}

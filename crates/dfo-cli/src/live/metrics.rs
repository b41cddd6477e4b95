//! Metrics and health over HTTP: for Prometheus, for a batch system's checks, and for eyes.
//!
//! | path | tells |
//! |---|---|
//! | `/metrics` | numbers, as Prometheus reads them (text format 0.0.4) |
//! | `/healthz` | 200 where the planner's task answers, else 503 |
//! | `/readyz` | 200 where plans can be made and sent, else 503 with why not |
//! | `/status` | how the service is, as one JSON object |
//!
//! It is read only, and knows no one: who reaches the address may read.

mod page;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as Std, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use dfo_service::{Gone, Remote, Status};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::log::DroppedLines;

/// So many connections at once; others wait to be let in.
const CONNECTIONS: usize = 32;

/// From one request on a connection to the end of the next one's head.
const TO_ASK: Duration = Duration::from_secs(5);

/// No connection lasts longer.
const TO_STAY: Duration = Duration::from_secs(30);

/// The planner's task has so long for an answer: one that does not is not healthy.
const TO_ANSWER: Duration = Duration::from_secs(2);

/// The head of a request is not larger, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;

/// An open address.
pub(crate) struct Metrics {
    listener: TcpListener,
    address: SocketAddr,
}

impl Metrics {
    /// Listens at `HOST:PORT`, within a tokio runtime; without a host at this machine's own address,
    /// with port 0 at a free one.
    ///
    /// # Errors
    /// What is wrong with the address, or why it cannot be used.
    pub(crate) fn open(text: &str) -> Result<Self, String> {
        let in_words = |error: std::io::Error| format!("{text}: cannot listen: {error}");
        let full = match text.starts_with(':') {
            true => format!("127.0.0.1{text}"),
            false => text.to_owned(),
        };
        let listen = || {
            let addresses: Vec<_> = full.to_socket_addrs()?.collect();
            let listener = Std::bind(&addresses[..])?;
            listener.set_nonblocking(true)?;
            Ok(Metrics {
                address: listener.local_addr()?,
                listener: TcpListener::from_std(listener)?,
            })
        };
        listen().map_err(in_words)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers whoever asks, without end.
    pub(crate) async fn serve(&self, remote: Remote, dropped: DroppedLines) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let Ok((stream, _)) = self.listener.accept().await else {
                // Too many open files, perhaps: others may close some.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (remote, dropped) = (remote.clone(), dropped.clone());
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    let (remote, dropped) = (remote.clone(), dropped.clone());
                    async move { Ok::<_, Infallible>(answer(&request, &remote, &dropped).await) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(TO_ASK)
                    .max_buf_size(LARGEST_HEAD)
                    .serve_connection(TokioIo::new(stream), answer);
                // Whatever fails between the two of us is over with this connection.
                let _ = timeout(TO_STAY, connection).await;
                drop(place);
            });
        }
    }
}

/// Whether `HOST:PORT` can be an address: what is said before anything is opened.
pub(crate) fn check_address(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err("expected HOST:PORT, or :PORT for this machine alone".to_owned()),
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer<B>(request: &Request<B>, remote: &Remote, dropped: &DroppedLines) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        let allowed = hyper::header::HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, allowed);
        return answer;
    }
    let tell: fn(&Status, &DroppedLines) -> Answer = match request.uri().path() {
        "/metrics" => |status, dropped| {
            let page = page::write(status, dropped.count());
            response(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                page,
            )
        },
        // A status costs the more the more nodes there are; this is asked often.
        "/healthz" => {
            return answered(remote.ping(), |()| text(StatusCode::OK, "ok\n")).await;
        }
        "/readyz" => |status, _| match not_ready(status) {
            None => text(StatusCode::OK, "ready\n"),
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
        },
        "/status" => |status, _| match serde_json::to_string(status) {
            Ok(json) => response(StatusCode::OK, "application/json", json),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        _ => {
            let there_is = "there is: /metrics, /healthz, /readyz, /status\n";
            return text(StatusCode::NOT_FOUND, there_is);
        }
    };
    answered(remote.status(), |status| tell(&status, dropped)).await
}

/// What the planner's task answers, if it does in time.
async fn answered<T>(
    asked: impl Future<Output = Result<T, Gone>>,
    tell: impl FnOnce(T) -> Answer,
) -> Answer {
    let why = match timeout(TO_ANSWER, asked).await {
        Ok(Ok(told)) => return tell(told),
        Ok(Err(gone)) => format!("{gone}\n"),
        Err(_) => format!("no answer from the planner's task within {TO_ANSWER:?}\n"),
    };
    text(StatusCode::SERVICE_UNAVAILABLE, &why)
}

/// Why no plans could be made and sent, if they could not.
fn not_ready(status: &Status) -> Option<String> {
    if status.is_stopping {
        return Some("the service is stopping".to_owned());
    }
    let journal = status.journal.as_ref().filter(|j| j.holds_plans())?;
    let why = journal.failed.as_deref().unwrap_or_default();
    Some(format!("the journal cannot be written: {why}"))
}

fn text(code: StatusCode, text: &str) -> Answer {
    response(code, "text/plain; charset=utf-8", text.to_owned())
}

fn response(code: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let value = hyper::header::HeaderValue::from_static;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, value(content_type));
    headers.insert(CACHE_CONTROL, value("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use dfo_planner::{PlanIds, Planner, Settings};
    use dfo_service::{JournalStatus, Service};
    use dfo_transport::OptimizerEnds;

    use super::*;

    #[test]
    fn an_address_has_a_port() {
        for good in [":9100", "127.0.0.1:0", "[::1]:9100", "node17:9100"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for wrong in ["", "9100", "127.0.0.1", "host:", "host:http", ":70000"] {
            assert!(check_address(wrong).is_err(), "{wrong}");
        }
    }

    fn service() -> Service {
        let planner = Planner::new(Settings::default(), PlanIds::from_seed(1));
        Service::new(planner, OptimizerEnds::default())
    }

    fn within(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(test);
    }

    /// How a service is that runs.
    async fn status() -> Status {
        let service = service();
        let remote = service.remote();
        tokio::select! {
            status = remote.status() => status.unwrap(),
            _ = service.run(std::future::pending()) => unreachable!("nobody stops it"),
        }
    }

    #[test]
    fn a_loop_that_does_not_turn_is_not_healthy() {
        within(async {
            let service = service();
            let remote = service.remote();
            let ask = async |path: &str| {
                let request = Request::builder().uri(path).body(()).unwrap();
                let answer = answer(&request, &remote, &DroppedLines::default()).await;
                answer.status()
            };
            // It never runs.
            let (health, metrics) = tokio::join!(ask("/healthz"), ask("/metrics"));
            assert_eq!(health, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(metrics, StatusCode::SERVICE_UNAVAILABLE);
            // What needs no answer from there has one.
            assert_eq!(ask("/nowhere").await, StatusCode::NOT_FOUND);
            drop(service);
            assert_eq!(ask("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        });
    }

    #[test]
    fn a_service_is_not_ready_while_it_stops_or_its_journal_holds_plans() {
        within(async {
            let mut status = status().await;
            assert_eq!(not_ready(&status), None);
            status.is_stopping = true;
            assert!(not_ready(&status).unwrap().contains("stopping"));
            status.is_stopping = false;
            let mut journal = JournalStatus {
                failed: Some("no space".to_owned()),
                ..JournalStatus::default()
            };
            status.journal = Some(journal.clone());
            assert_eq!(not_ready(&status), None);
            journal.is_required = true;
            status.journal = Some(journal);
            assert!(not_ready(&status).unwrap().contains("no space"));
        });
    }

    #[test]
    fn the_lag_of_a_journal_is_in_the_metrics() {
        within(async {
            let mut status = status().await;
            assert!(!page::write(&status, 0).contains("journal"));
            status.journal = Some(JournalStatus {
                appended_seq: 12,
                synced_seq: 5,
                oldest_unsynced_s: 0.25,
                ..JournalStatus::default()
            });
            let page = page::write(&status, 3);
            for line in [
                "dfoptimizer_journal_lag_lines 7\n",
                "dfoptimizer_journal_lag_seconds 0.25\n",
                "dfoptimizer_journal_failed 0\n",
                "dfoptimizer_log_lines_dropped_total 3\n",
            ] {
                assert!(page.contains(line), "no {line} in\n{page}");
            }
        });
    }
}

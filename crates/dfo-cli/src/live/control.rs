//! The control socket of a service: `dfo ctl` speaks to it.
//!
//! A Unix socket that only its owner can reach. Each client has a task, a deadline for each question
//! and a bound on its length; a question that makes no sense is answered with what is wrong.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dfo_planner::{Decisions, Notice};
use dfo_service::Remote;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::ctl::protocol::{
    Answer, Ask, Change, Done, LONGEST_QUESTION, Question, Reply, ToldNotice,
};
use crate::report;

/// So many clients at once; others wait to be let in.
const CLIENTS: usize = 16;

/// A client that asks nothing for so long is let go.
const TO_ASK: Duration = Duration::from_secs(5);

/// The planner's task has so long for an answer.
const TO_ANSWER: Duration = Duration::from_secs(10);

/// A client has so long to take its answer.
const TO_TAKE: Duration = Duration::from_secs(10);

/// So long another service may take that is about to listen in the same folder.
const TO_SETTLE: Duration = Duration::from_secs(2);

/// An open control socket. The file goes when this is dropped.
pub(crate) struct Control {
    listener: UnixListener,
    _file: SocketFile,
}

/// The file of a socket of ours.
struct SocketFile {
    path: PathBuf,
    /// Which file it is: another service may have put its own there.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Where it cannot be removed, it is stale: the next service takes its place.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Control {
    /// Listens at a path, within a tokio runtime. A socket that a dead service left there is
    /// replaced; anything else is left alone.
    ///
    /// # Errors
    /// What is wrong with the path, and what to do.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let in_words = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Two services that start at once must not both find the place free.
        let _alone = alone_in(folder).map_err(|error| in_words(&error))?;
        make_room(path).map_err(|what| in_words(&what))?;
        let listen = || {
            let socket = UnixSocket::new_stream()?;
            socket.bind(path)?;
            // Nobody can connect before it listens.
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            let file = SocketFile {
                path: path.to_owned(),
                identity: identity(path)?,
            };
            let listener = socket.listen(128)?;
            Ok(Control {
                listener,
                _file: file,
            })
        };
        listen().map_err(|error: io::Error| in_words(&format!("cannot listen: {error}")))
    }

    /// Answers whoever asks, without end.
    pub(crate) async fn serve(&self, remote: Remote) {
        let room = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let Ok((client, _)) = self.listener.accept().await else {
                // Too many open files, perhaps: others may close some.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let remote = remote.clone();
            tokio::spawn(async move {
                // Whatever fails between the two of us is over with this client.
                let _ = attend(client, &remote).await;
                drop(place);
            });
        }
    }
}

/// Keeps others of our kind out of a folder while this listens there. Where the file system knows no
/// locks, there is nothing to keep.
fn alone_in(folder: &Path) -> io::Result<Option<File>> {
    let Ok(folder) = File::open(folder) else {
        // One that can be entered and not read; what is wrong otherwise is found at once.
        return Ok(None);
    };
    let begun = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(fs::TryLockError::Error(_)) => return Ok(None),
            Err(fs::TryLockError::WouldBlock) if begun.elapsed() < TO_SETTLE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(fs::TryLockError::WouldBlock) => {
                return Err(io::Error::other("another program has locked its folder"));
            }
        }
    }
}

/// Removes the socket of a dead service.
fn make_room(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(there) if !there.file_type().is_socket() => {
            return Err("is there, and is no socket; name another path, or remove it".to_owned());
        }
        Ok(_) => {}
    }
    match Probe::connect(path) {
        Ok(_) => Err("another service listens there; name another path, or stop it".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| format!("cannot replace: {error}"))
        }
        Err(error) => Err(format!("cannot tell whether anyone listens there: {error}")),
    }
}

/// Answers one client until it leaves, or asks nothing for too long.
async fn attend(client: UnixStream, remote: &Remote) -> io::Result<()> {
    let (reader, mut writer) = client.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut reader).take(LONGEST_QUESTION as u64);
        let Ok(read) = timeout(TO_ASK, bounded.read_until(b'\n', &mut line)).await else {
            let what = format!("no question within {} s", TO_ASK.as_secs());
            return reply(&mut writer, Answer::Bad(what)).await;
        };
        match (read?, line.last()) {
            (0, _) => return Ok(()),
            (_, Some(b'\n')) => {}
            (LONGEST_QUESTION, _) => {
                let what = format!("longer than {LONGEST_QUESTION} bytes");
                return reply(&mut writer, Answer::Bad(what)).await;
            }
            _ => {
                let what = "not a question: it has no end of line".to_owned();
                return reply(&mut writer, Answer::Bad(what)).await;
            }
        }
        let answer = match Question::read(&line) {
            Ok(question) => answer(question.ask, remote).await,
            Err(what) => Answer::Bad(what),
        };
        reply(&mut writer, answer).await?;
    }
}

async fn reply(to: &mut (impl AsyncWriteExt + Unpin), answer: Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(&Reply::new(answer))?;
    line.push(b'\n');
    let written = timeout(TO_TAKE, to.write_all(&line)).await;
    written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn answer(ask: Ask, remote: &Remote) -> Answer {
    let asked = async {
        Ok(match ask {
            Ask::Command(command) => outcome(&remote.command(command).await?),
            Ask::Status => match serde_json::to_value(remote.status().await?) {
                Ok(status) => Answer::Status(status),
                Err(error) => Answer::Silence(error.to_string()),
            },
            Ask::StatusText => Answer::StatusText(report::status_text(&remote.status().await?)),
        })
    };
    let answered: Result<Result<_, dfo_service::Gone>, _> = timeout(TO_ANSWER, asked).await;
    match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(gone)) => Answer::Silence(gone.to_string()),
        Err(_) => Answer::Silence(format!(
            "the service is busy: no answer within {} s; a command may still be carried out",
            TO_ANSWER.as_secs()
        )),
    }
}

fn outcome(decisions: &Decisions) -> Answer {
    let mut refused = None;
    let mut done = Done::default();
    for notice in decisions.notices() {
        match notice {
            Notice::CommandRefused { why, .. } => refused = Some(why.clone()),
            notice => done.notices.push(ToldNotice {
                notice: notice.name().to_owned(),
                text: notice.to_string(),
            }),
        }
    }
    let changes = decisions.plans().map(|plan| Change {
        plan_id: plan.plan_id.clone(),
        knob: plan.knob_id.clone(),
        nodes: plan.target_nodes.clone(),
        value: plan.new_value.to_string(),
    });
    done.changes = changes.collect();
    match refused {
        None => Answer::Done(done),
        Some(why) => Answer::Refused { why, done },
    }
}

//! Standard output and standard error: buffered, coloured only on a terminal, and no panic when the
//! reader goes away.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, LineWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use crate::exit::{Exit, Failure};

/// The two streams of the command.
pub(crate) struct Console {
    out: Box<dyn Write>,
    err: ErrorStream,
    pub(crate) styles: Styles,
}

/// The styles of what people read; all plain where there is no terminal or `NO_COLOR` is set.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Styles {
    pub(crate) knob: Style,
    pub(crate) good: Style,
    pub(crate) faint: Style,
}

impl Styles {
    fn coloured() -> Self {
        Styles {
            knob: Style::new().bold(),
            good: AnsiColor::Green.on_default(),
            faint: Style::new().dimmed(),
        }
    }
}

/// Standard error, for any thread.
#[derive(Clone)]
pub(crate) struct ErrorStream(Arc<Mutex<Box<dyn Write + Send>>>);

impl ErrorStream {
    fn new(stream: Box<dyn Write + Send>) -> Self {
        ErrorStream(Arc::new(Mutex::new(stream)))
    }

    pub(crate) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        // A writer that panicked has written what it has written.
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(bytes)
    }
}

impl Console {
    pub(crate) fn of_process() -> Self {
        let stdout = io::stdout();
        let is_coloured = AutoStream::choice(&stdout) != ColorChoice::Never;
        let styles = match is_coloured {
            true => Styles::coloured(),
            false => Styles::default(),
        };
        // A person watching a pipe of findings wants each line when it is decided.
        let out: Box<dyn Write> = match stdout.is_terminal() {
            true => Box::new(LineWriter::new(stdout.lock())),
            false => Box::new(BufWriter::with_capacity(1 << 16, stdout.lock())),
        };
        Console {
            out,
            err: ErrorStream::new(Box::new(io::stderr())),
            styles,
        }
    }

    /// Other streams, without colour.
    pub(crate) fn plain(out: Box<dyn Write>, err: Box<dyn Write + Send>) -> Self {
        let styles = Styles::default();
        let err = ErrorStream::new(err);
        Console { out, err, styles }
    }

    /// Standard output.
    pub(crate) fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Standard error, for another thread.
    pub(crate) fn error_stream(&self) -> ErrorStream {
        self.err.clone()
    }

    /// A line on standard error. Where that cannot be written there is no one to tell.
    pub(crate) fn say(&mut self, line: &str) {
        let _ = self.err.write_all(format!("{}\n", plain(line)).as_bytes());
    }

    /// What the parser of the command line has to say: help and version are no error.
    pub(crate) fn usage(mut self, error: &clap::Error) -> Exit {
        // It quotes the arguments, which may come from anywhere.
        let text = error.render().to_string();
        let lines: Vec<_> = text.lines().map(plain).collect();
        let text = lines.join("\n") + "\n";
        if error.use_stderr() {
            // Where that cannot be written there is no one to tell.
            let _ = self.err.write_all(text.as_bytes());
            return Exit::Usage;
        }
        let written = write!(self.out, "{text}");
        self.finish(written.map(|()| Exit::Done).map_err(Failure::Write))
    }

    /// Ends the command: what is left goes out, and a failure is said.
    pub(crate) fn finish(mut self, done: Result<Exit, Failure>) -> Exit {
        let done = done.and_then(|exit| {
            self.out.flush()?;
            Ok(exit)
        });
        match done {
            Ok(exit) => exit,
            // The reader has seen enough: `dfo replay … | head`.
            Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Err(Failure::Write(error)) => {
                self.say(&format!("dfo: cannot write: {error}"));
                Exit::CannotRead
            }
            Err(Failure::Usage(what)) => {
                self.say(&format!("dfo: {what}"));
                Exit::Usage
            }
            Err(Failure::CannotRead(what)) => {
                self.say(&format!("dfo: {what}"));
                Exit::CannotRead
            }
        }
    }
}

/// A text from outside without what a terminal would take for a command.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// `0 plans`, `1 plan`, `2 plans`.
pub(crate) fn count(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}

/// The same with the digits in groups: `12,345 plans`.
pub(crate) fn grouped(n: u64, what: &str) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + what.len() + 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    let plural = if n == 1 { "" } else { "s" };
    text + " " + what + plural
}

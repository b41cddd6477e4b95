//! Files as a transport: findings, plans and control as lines of JSON.

use std::path::Path;

use async_trait::async_trait;

use super::sink::FileSink;
use super::source::{FileSource, Pace};
use super::{Records, open};
use crate::ends::{Sink, Source};
use crate::error::TransportError;
use crate::options::{OptionSpec, Options};
use crate::transport::{ApplicationEnds, Named, OptimizerEnds, Role, Transport};

/// Files, by the name `file`: a record is a line of JSON, without metadata.
///
/// Findings may come in any layout that [`Records`] reads. What is followed, and what is written, are
/// lines. A line `{"name":"end"}` ends a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files;

const OPTIMIZER: &[Role] = &[Role::Optimizer];
const APPLICATION: &[Role] = &[Role::Application];
const DIAGNOSER: &[Role] = &[Role::Diagnoser];

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "findings",
        "FILE",
        "Findings: JSON lines, an array or printed objects, plain or gzip; `-` is standard input. May \
         be given several times: the files are read in turn, or side by side with --follow.",
    )
    .often()
    .only_for(OPTIMIZER),
    OptionSpec::new(
        "control",
        "FILE",
        "Registrations and acknowledgements, a line each. What stands in it is read before the first \
         finding, what is appended later is read as it comes. May be given several times.",
    )
    .often()
    .only_for(OPTIMIZER),
    OptionSpec::new(
        "plans",
        "FILE",
        "Append plans to this file, a line each. May be given several times. Without it no plans leave.",
    )
    .often()
    .only_for(OPTIMIZER),
    OptionSpec::switch(
        "follow",
        "Wait at the end of findings for more, until a line {\"name\":\"end\"}.",
    )
    .only_for(OPTIMIZER),
    OptionSpec::new(
        "rate",
        "N",
        "At most so many findings a second, of each file that is followed, or of all in turn.",
    )
    .only_for(OPTIMIZER),
    OptionSpec::new("plans", "FILE", "Where the optimizer appends plans.").only_for(APPLICATION),
    OptionSpec::new(
        "control",
        "FILE",
        "Append registrations and acknowledgements to this file, which the optimizer follows. Without \
         it none are sent.",
    )
    .only_for(APPLICATION),
    OptionSpec::switch("follow", "Wait at the end of plans for more.").only_for(APPLICATION),
    OptionSpec::new(
        "to",
        "FILE",
        "Append findings to this file, a line each.",
    )
    .only_for(DIAGNOSER),
];

#[async_trait]
impl Transport for Files {
    fn name(&self) -> &'static str {
        "file"
    }

    fn about(&self) -> &'static str {
        "Files: a line of JSON for each finding, plan, registration and acknowledgement"
    }

    fn options(&self) -> &'static [OptionSpec] {
        OPTIONS
    }

    async fn optimizer(&self, options: &Options) -> Result<OptimizerEnds, TransportError> {
        let findings = findings(options)?;
        let control = options.all("control").map(|path| {
            let source = FileSource::follow(Path::new(path), Pace::Full)?;
            Ok(source.ended_by_a_line())
        });
        let control = control.collect::<Result<Vec<_>, TransportError>>()?;
        let before = || control.iter().map(FileSource::caught_up).collect();
        let findings = findings.into_iter().map(|source| source.after(before()));
        let mut ends = OptimizerEnds {
            findings: findings.map(named).collect(),
            ..OptimizerEnds::default()
        };
        ends.control = control.into_iter().map(named).collect();
        for path in options.all("plans") {
            let sink = FileSink::append(Path::new(path))?;
            ends.plans.push(Named::new(path, Box::new(sink)));
        }
        Ok(ends)
    }

    async fn application(&self, options: &Options) -> Result<ApplicationEnds, TransportError> {
        let path = Path::new(options.required("plans")?);
        let plans = match options.is_on("follow")? {
            true => FileSource::follow(path, Pace::Full)?,
            false => FileSource::open(path, Pace::Full)?,
        };
        let control = options
            .get("control")
            .map(|path| FileSink::append(Path::new(path)));
        let control = control.transpose()?;
        Ok(ApplicationEnds {
            plans: Box::new(plans),
            control: control.map(|sink| -> Box<dyn Sink> { Box::new(sink) }),
        })
    }

    async fn diagnoser(&self, options: &Options) -> Result<Box<dyn Sink>, TransportError> {
        let path = Path::new(options.required("to")?);
        Ok(Box::new(FileSink::append(path)?))
    }
}

fn named(source: FileSource) -> Named<Box<dyn Source>> {
    Named::new(source.name().to_owned(), Box::new(source))
}

/// The sources of findings: one for each file that is followed, or one for all.
fn findings(options: &Options) -> Result<Vec<FileSource>, TransportError> {
    options.required("findings")?;
    let rate = options.parsed("rate", "records per second, more than 0")?;
    let pace = rate.map_or(Pace::Full, Pace::PerSecond);
    let paths = options.all("findings").map(Path::new);
    if options.is_on("follow")? {
        let follow = |path| Ok(FileSource::follow(path, pace)?.ended_by_a_line());
        return paths.map(follow).collect();
    }
    let mut files = Vec::new();
    let mut are_kept = true;
    for path in paths {
        let (file, is_kept) = read(path)?;
        files.push(file);
        are_kept &= is_kept;
    }
    let source = FileSource::in_turn(files, pace)?.ended_by_a_line();
    Ok(vec![match are_kept {
        true => source,
        false => source.once(),
    }])
}

/// A file to be read to its end, and whether it can be read again.
fn read(path: &Path) -> Result<(Records, bool), TransportError> {
    if path == Path::new("-") {
        return Ok((Records::stdin(), false));
    }
    let file = open(path)?;
    let is_kept = file.metadata().is_ok_and(|about| about.is_file());
    let records = Records::from_reader(path.display().to_string(), file);
    Ok((records, is_kept))
}

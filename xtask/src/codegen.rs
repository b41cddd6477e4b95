//! Generated files that are checked in, so that a user needs no generator.
//!
//! Each producer gives files as values, path and content. Writing and checking know nothing of what
//! is in them; a new kind of generated file is one more producer.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Makes the contents of some generated files.
type Producer = fn() -> Result<Vec<Generated>>;

const PRODUCERS: [Producer; 2] = [schemas, manual_pages];

/// Folders in which every file is generated: what no producer makes any more goes.
const GENERATED_FOLDERS: [&str; 2] = [SCHEMAS, MANUAL];

const SCHEMAS: &str = "docs/schemas";
const MANUAL: &str = "docs/man";

/// A file as it should be.
#[derive(Debug)]
struct Generated {
    /// Relative to the root of the workspace, with `/`.
    path: String,
    content: String,
}

/// How a file differs from what it should be.
#[derive(Debug, PartialEq, Eq)]
enum Stale {
    Missing(String),
    Different(String),
    /// Nothing makes this file any more.
    Left(String),
}

/// Writes every generated file that is not what it should be.
pub fn write(root: &Path) -> Result<()> {
    let generated = generated()?;
    let stale = stale(root, &generated)?;
    for stale in &stale {
        match stale {
            Stale::Left(path) => {
                fs::remove_file(root.join(path)).with_context(|| path.clone())?;
                println!("removed {path}");
            }
            Stale::Missing(path) | Stale::Different(path) => {
                let file = generated.iter().find(|file| file.path == *path);
                write_file(root, file.context("stale files come from generated ones")?)?;
                println!("wrote {path}");
            }
        }
    }
    println!(
        "codegen: {} files, {} changed",
        generated.len(),
        stale.len()
    );
    Ok(())
}

/// Fails if a generated file is not what it should be; changes nothing.
pub fn check(root: &Path) -> Result<()> {
    let generated = generated()?;
    let stale = stale(root, &generated)?;
    for stale in &stale {
        match stale {
            Stale::Missing(path) => println!("{path}: missing"),
            Stale::Different(path) => println!("{path}: not what the code says"),
            Stale::Left(path) => println!("{path}: nothing generates it any more"),
        }
    }
    if !stale.is_empty() {
        bail!(
            "codegen: {} stale files; refresh them with `cargo xtask codegen`",
            stale.len()
        );
    }
    println!("codegen: {} files, all fresh", generated.len());
    Ok(())
}

fn generated() -> Result<Vec<Generated>> {
    let mut files = Vec::new();
    for producer in PRODUCERS {
        files.extend(producer()?);
    }
    Ok(files)
}

/// The JSON Schema of every message.
fn schemas() -> Result<Vec<Generated>> {
    let file = |(name, schema)| {
        Ok(Generated {
            path: format!("{SCHEMAS}/{name}.schema.json"),
            content: serde_json::to_string_pretty(&schema)? + "\n",
        })
    };
    dfo_model::schemas().into_iter().map(file).collect()
}

/// A manual page for the command and for each of its subcommands, theirs too.
fn manual_pages() -> Result<Vec<Generated>> {
    let mut command = crate::product::command().arguments();
    command.build();
    let mut pages = Vec::new();
    add_manual_pages(&command, command.get_name(), &mut pages)?;
    Ok(pages)
}

fn add_manual_pages(command: &clap::Command, name: &str, pages: &mut Vec<Generated>) -> Result<()> {
    pages.push(manual_page(command.clone(), name)?);
    for subcommand in command.get_subcommands() {
        // `help` explains itself.
        if subcommand.get_name() != "help" {
            let name = format!("{name}-{}", subcommand.get_name());
            add_manual_pages(subcommand, &name, pages)?;
        }
    }
    Ok(())
}

fn manual_page(command: clap::Command, name: &str) -> Result<Generated> {
    let mut roff = Vec::new();
    clap_mangen::Man::new(command)
        .title(name)
        .render(&mut roff)?;
    Ok(Generated {
        path: format!("{MANUAL}/{name}.1"),
        content: String::from_utf8(roff)?,
    })
}

fn stale(root: &Path, generated: &[Generated]) -> Result<Vec<Stale>> {
    let mut stale = Vec::new();
    for file in generated {
        match fs::read_to_string(root.join(&file.path)) {
            Ok(content) if content == file.content => {}
            Ok(_) => stale.push(Stale::Different(file.path.clone())),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                stale.push(Stale::Missing(file.path.clone()));
            }
            Err(e) => return Err(e).context(file.path.clone()),
        }
    }
    let made: BTreeSet<&str> = generated.iter().map(|file| file.path.as_str()).collect();
    for folder in GENERATED_FOLDERS {
        let left = files_in(root, folder)?
            .into_iter()
            .filter(|path| !made.contains(path.as_str()));
        stale.extend(left.map(Stale::Left));
    }
    Ok(stale)
}

/// The files directly in a folder, sorted; none if there is no such folder.
fn files_in(root: &Path, folder: &str) -> Result<Vec<String>> {
    let entries = match fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).context(folder.to_owned()),
    };
    let mut files = Vec::new();
    for entry in entries {
        files.push(format!("{folder}/{}", entry?.file_name().to_string_lossy()));
    }
    files.sort();
    Ok(files)
}

fn write_file(root: &Path, file: &Generated) -> Result<()> {
    let path = root.join(&file.path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::write(&path, &file.content).with_context(|| file.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_stale_file_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = |name: &str| Generated {
            path: format!("{SCHEMAS}/{name}"),
            content: "new".to_owned(),
        };
        write_file(root.path(), &file("fresh")).unwrap();
        fs::write(root.path().join(SCHEMAS).join("old"), "old").unwrap();
        fs::write(root.path().join(SCHEMAS).join("left"), "left").unwrap();

        let found = stale(root.path(), &[file("fresh"), file("old"), file("new")]).unwrap();

        let path = |name| format!("{SCHEMAS}/{name}");
        assert_eq!(
            found,
            [
                Stale::Different(path("old")),
                Stale::Missing(path("new")),
                Stale::Left(path("left"))
            ]
        );
    }

    #[test]
    fn after_writing_nothing_is_stale() {
        let root = tempfile::tempdir().unwrap();
        assert!(check(root.path()).is_err());
        write(root.path()).unwrap();
        check(root.path()).unwrap();
    }
}

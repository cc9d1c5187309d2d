//! The folder, as a harness sees it.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use crate::armed::FIRED;
use crate::{CLOCK, Fault, POINTS, SWITCHES};

/// A harness' hand on the processes that were started with [`FOLDER`](crate::FOLDER) set to its folder.
#[derive(Clone, Debug)]
pub struct Faults {
    folder: PathBuf,
}

impl Faults {
    /// In this folder, made where it is missing. What is armed there stays so.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The value of [`FOLDER`](crate::FOLDER).
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The next one to reach the place does this, once. Arming it again before that changes what.
    ///
    /// # Errors
    /// When there is no such place, or the file can't be written.
    pub fn arm(&self, point: &str, fault: Fault) -> Result<()> {
        known(POINTS, point)?;
        self.put(point, &fault.to_string())
    }

    /// Switches on; processes see it at once.
    ///
    /// # Errors
    /// When there is no such switch, or the file can't be written.
    pub fn switch_on(&self, switch: &str) -> Result<()> {
        known(SWITCHES, switch)?;
        self.put(switch, "")
    }

    /// Sets the clocks ahead by these microseconds, or back; processes see it within 50 ms.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn set_clock(&self, micros: i64) -> Result<()> {
        self.put(CLOCK, &micros.to_string())
    }

    /// Takes back what was armed, switched on or set. False: it had not been, or has happened.
    ///
    /// # Errors
    /// When the file can't be removed.
    pub fn clear(&self, name: &str) -> Result<bool> {
        match fs::remove_file(self.folder.join(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Times that a place did what it was armed with; for a switch or [`CLOCK`], processes that have seen it, each time that it was
    /// switched on.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn fired(&self, name: &str) -> Result<usize> {
        let start = format!("{name}{FIRED}");
        let mut count = 0;
        for file in fs::read_dir(&self.folder)? {
            count += usize::from(file?.file_name().to_string_lossy().starts_with(&start));
        }
        Ok(count)
    }

    /// A file that is there as a whole or not at all.
    fn put(&self, name: &str, content: &str) -> Result<()> {
        let new = self.folder.join(format!(".{name}.new"));
        fs::write(&new, content)?;
        fs::rename(new, self.folder.join(name))
    }
}

fn known(names: &[&str], name: &str) -> Result<()> {
    if names.contains(&name) { Ok(()) } else { Err(Error::new(ErrorKind::InvalidInput, format!("there is no {name}"))) }
}

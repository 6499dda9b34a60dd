//! The file that is written: under a temporary name until it is whole.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use dbn::Metadata;

use super::Early;
use crate::feed::Batch;
use crate::wire::file::Writer;
use crate::wire::record::{rtype, rtype_of};

/// A file to be.
pub(super) struct Output {
    path: PathBuf,
    compressed: bool,
    temporary: PathBuf,
    writer: Option<Writer>,
}

impl Output {
    /// Checks the name; nothing is written yet.
    pub(super) fn new(path: PathBuf, force: bool) -> Result<Self, Early> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let compressed = name.ends_with(".dbn.zst");
        if !compressed && !name.ends_with(".dbn") {
            let shown = path.display();
            return Err(Early::Usage(format!("output {shown}: it ends in .dbn or .dbn.zst")));
        }
        if !force && fs::symlink_metadata(&path).is_ok() {
            let reason = format!("{} exists; --force replaces it", path.display());
            return Err(Early::Failed(reason));
        }
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        Ok(Self { path, compressed, temporary, writer: None })
    }

    /// Begins it.
    pub(super) fn begin(&mut self, metadata: &Metadata) -> Result<(), String> {
        let file = OpenOptions::new().write(true).create_new(true).open(&self.temporary);
        let file = file.map_err(|error| failed(&self.temporary, &error))?;
        let writer = Writer::new(file, self.compressed, metadata);
        self.writer = Some(writer.map_err(|error| failed(&self.temporary, &error))?);
        Ok(())
    }

    /// Appends records; metadata says what mappings would.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), String> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        for record in batch.iter().filter(|r| rtype_of(r) != rtype::SYMBOL_MAPPING) {
            writer.write(record).map_err(|error| failed(&self.temporary, &error))?;
        }
        Ok(())
    }

    /// Gives it its name, once the disk has it.
    pub(super) fn finish(mut self) -> Result<(), String> {
        if let Some(writer) = self.writer.take() {
            writer.finish().map_err(|error| failed(&self.temporary, &error))?;
        }
        fs::rename(&self.temporary, &self.path).map_err(|error| failed(&self.path, &error))
    }
}

/// However it ends, nothing half-written is left.
impl Drop for Output {
    fn drop(&mut self) {
        // Where it was finished, or never begun, there is none.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{}: can't be written: {error}", path.display())
}

//! Makes a block of all that is in memory and not in a block yet; then the log before it and the memory may go.
//!
//! The order is what a kill at any moment needs: older blocks are named by what a clock that was set back left of them,
//! then the new block gets its name, then the log goes. A block's number is the one of the first segment that stays.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::block::{Block, BlockWriter};
use super::keeper::Work;
use crate::model::Millis;
use crate::store::shape::SeriesRef;

/// So many series are copied under one lock.
const BATCH: usize = 256;

impl Work {
    pub(super) fn seal(&mut self) -> io::Result<()> {
        // What was appended up to here is in segments that end here, and in the block.
        self.write().begin_seal();
        self.write_log();
        let unlogged = self.figures.unlogged.load(std::sync::atomic::Ordering::Relaxed);
        let number = self.segments.end();
        let part = self.folder.unfinished_block(number);
        let written = self.write_block(number, &part);
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        let saved = written?;
        // Also where there is no new block: the log that tells of the clock goes all the same.
        self.name_rewound()?;
        if !saved.is_empty() {
            let path = self.folder.block(number);
            fs::rename(&part, &path)?;
            // What is tried again must not find itself there already: each sample would stand twice.
            let block = self.open_written(number, &path, &saved).inspect_err(|_| drop(fs::remove_file(&path)))?;
            self.write().adopt(Arc::new(block));
            for batch in saved.chunks(BATCH) {
                self.write().saved(batch);
            }
        }
        let newest = self.read().newest();
        self.segments.drop_before(&self.folder, number, newest);
        self.sealed_unlogged = unlogged;
        Ok(())
    }

    fn open_written(&self, number: u64, path: &Path, saved: &[(SeriesRef, Millis)]) -> io::Result<Block> {
        self.folder.sync()?;
        let mut series = saved.iter().map(|(series, _)| *series);
        let opened = Block::open(number, path, Millis(i64::MAX), (&self.damage, &self.handles), |_| series.next());
        opened.map_err(|error| io::Error::other(format!("{}: {error:?}", path.display())))
    }

    /// Gives the series that are in it, in its order, each with its last time.
    fn write_block(&mut self, number: u64, part: &Path) -> io::Result<Vec<(SeriesRef, Millis)>> {
        let mut writer = BlockWriter::start(number, BufWriter::with_capacity(64 << 10, File::create(part)?))?;
        let (mut saved, mut samples, mut slot) = (Vec::new(), Vec::new(), Some(0));
        while let Some(from) = slot {
            let (series, runs, next) = self.write().unsaved(from, BATCH);
            slot = next;
            for (series, run) in series.into_iter().zip(runs) {
                run.decode_into(&mut samples);
                if let Some((last, _)) = samples.last() {
                    writer.put(&run.labels, &samples)?;
                    saved.push((series, *last));
                }
            }
            // The log does not wait for the block.
            self.write_log();
        }
        let newest = self.read().newest();
        let Some(mut buffer) = writer.finish(newest)? else {
            fs::remove_file(part)?;
            return Ok(saved);
        };
        buffer.flush()?;
        buffer.get_ref().sync_all()?;
        Ok(saved)
    }

    /// Gives blocks of which a clock that was set back left a part a name that says so, and removes those it left nothing of.
    fn name_rewound(&mut self) -> io::Result<()> {
        let blocks = self.read().blocks();
        let rewound: Vec<_> = blocks.iter().filter(|block| block.visible() < block.footer.last).collect();
        if rewound.is_empty() {
            return Ok(());
        }
        for file in self.folder.block_files().map_err(io::Error::other)? {
            let Some(block) = rewound.iter().find(|block| block.number == file.number) else { continue };
            if block.visible() < block.footer.first {
                block.delete()?;
                self.write().forget_block(file.number);
            } else if block.visible() < file.visible {
                block.rename(self.folder.block_until(file.number, block.visible()))?;
            }
        }
        self.folder.sync()
    }
}

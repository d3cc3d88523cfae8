//! One heap for all threads.
//!
//! glibc's allocator makes up to eight heaps ("arenas") a processor, and what one of them has freed none of the others can
//! use: here that is three megabytes of twenty-five that hold nothing, and no thread of ours waits for another's
//! allocations long enough to be measured. It can be told so by the environment alone, and only as a program starts.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// `mallopt(3)`, under Environment variables.
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// Starts this program anew with one heap, as the same process with the same arguments, unless it was told how many to
/// have. To be called before anything was begun. Where it cannot be done the program goes on as it is.
pub fn share_one() {
    if cfg!(not(target_env = "gnu")) || env::var_os(ARENAS).is_some() {
        return;
    }
    // By its path, as the system names a process by the file that it was started from.
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Comes back only with an error.
    let _ = again.args(arguments).env(ARENAS, "1").exec();
}

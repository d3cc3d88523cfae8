//! The command line: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    sidewatch::cli::main()
}

//! The door; everything is in the library.

use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Wipes every freed buffer, also those of libraries that know nothing of secrets.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    rewrap_cli::command::main()
}

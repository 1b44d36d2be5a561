//! Arguments in, exit code out; nothing else happens here.

fn main() {}

# Short names for what CONTRIBUTING.md explains.

# Formatting, lints and the tests beside the code.
check:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
    cargo clippy --no-default-features --locked -- -D warnings
    cargo test --locked --lib

# All that needs Rust alone.
test:
    cargo test --locked

# One simulated month, told line by line.
sim SEED:
    STAYPUT_SEED={{SEED}} cargo test --locked --test simulation -- --nocapture

# Rewrites what tests expect, to be read in the difference.
bless:
    STAYPUT_BLESS=1 cargo test --locked --no-fail-fast --lib --test configuration --test shipped

# The static program, and what it weighs.
size:
    packaging/static amd64 && packaging/footprint --check

# What decides whether a change lands, as root.
ci:
    .ci/run

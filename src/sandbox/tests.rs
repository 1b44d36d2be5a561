//! The rules of the simulated Cloudflare, one by one.

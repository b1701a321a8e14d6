//! How much may wait for a block: all of it fits into one answer.
//!
//! `author_pendingExtrinsics` has no pages. In JSON a byte is two, and an answer that is longer than the server's limit
//! fails for everybody; so the pool is kept below it.

use sc_service::Configuration;

use crate::cli::Cli;

/// Kilobytes of transactions that wait, unless somebody says otherwise; as clap wants it.
pub const DEFAULT_KBYTES: &str = "6144";
/// What an answer has around each transaction, in bytes: `"0x…",`.
const AROUND_EACH: u64 = 5;
/// What an answer has around all of them, in bytes.
const AROUND_ALL: u64 = 1_024;

/// Makes sure that all that waits fits into one answer of the server.
///
/// # Errors
/// What to pass instead.
pub fn check(config: &Configuration, cli: &Cli) -> Result<(), String> {
    let endpoints = config.rpc.addr.iter().flatten();
    let least = endpoints.map(|endpoint| endpoint.max_payload_out_mb).min();
    let megabytes = least.unwrap_or(config.rpc.max_response_size);
    let pool = &cli.run.pool_config;
    fits(pool.pool_limit, pool.pool_kbytes, megabytes)
}

fn fits(count: usize, kbytes: usize, megabytes: u32) -> Result<(), String> {
    let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let around = wide(count)
        .saturating_mul(AROUND_EACH)
        .saturating_add(AROUND_ALL);
    let room = u64::from(megabytes)
        .saturating_mul(1 << 20)
        .saturating_sub(around);
    let most = room / 2 / 1_024;
    if wide(kbytes) <= most {
        return Ok(());
    }
    let needs = wide(kbytes)
        .saturating_mul(2 * 1_024)
        .saturating_add(around)
        .div_ceil(1 << 20);
    Err(format!(
        "--pool-kbytes {kbytes} does not fit into an RPC answer of {megabytes} MB: \
         at most {most}, or --rpc-max-response-size {needs}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_waits_fits_into_one_answer() {
        let kbytes = DEFAULT_KBYTES.parse().expect("a number");
        // Substrate's defaults of the other two.
        assert_eq!(fits(8_192, kbytes, 15), Ok(()));
        let error = fits(8_192, 20_480, 15).expect_err("Substrate's own does not");
        assert!(
            error.contains("20480") && error.contains("15 MB"),
            "{error}"
        );
        // What it says instead is right.
        assert!(
            error.contains("at most 7659") && error.contains("--rpc-max-response-size 41"),
            "{error}"
        );
        assert_eq!(fits(8_192, 7_659, 15), Ok(()));
        assert!(fits(8_192, 7_660, 15).is_err());
        assert_eq!(fits(8_192, 20_480, 41), Ok(()));
        assert!(fits(8_192, 20_480, 40).is_err());
        assert!(fits(usize::MAX, 1, 15).is_err() && fits(0, usize::MAX, u32::MAX).is_err());
    }
}

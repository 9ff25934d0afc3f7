//! The exact distribution of the two-sample statistic, by enumerating its values.

use crate::StatsError;

/// Values in the tables of one row of the lattice, at most.
const MAX_TABLES: usize = 1 << 24;

/// P(T >= t) over all orders of the pooled samples, with `scaled` = 24 n m (n + m) t (Xiao, Gordon and Yakovlev 2006).
///
/// Along an order's lattice path, T is a constant plus a multiple of ζ = Σ (v lcm / m - u lcm / n)² over the points
/// (u, v) passed. The table of a point holds the values of ζ of the paths to it, each with the share of the paths that
/// have it: a random path comes from the left in u of u + v cases.
pub(super) fn p_value(n: usize, m: usize, scaled: i128) -> Result<f64, StatsError> {
    let too_large = || StatsError::ExactTooLarge {
        n_reference: n,
        n_batch: m,
    };
    let (short, long) = (n.min(m), n.max(m));
    let gcd = gcd(n as u64, m as u64);
    // ζ = lcm² / (n m)² (n + m) n m (…) reduces to this; below a whole number, the next one down, as scipy has it.
    let bound = (scaled * (n + m) as i128).div_euclid(24 * i128::from(gcd) * i128::from(gcd));
    let (short_step, long_step) = ((long as u64 / gcd) as i128, (short as u64 / gcd) as i128);
    // The tables of the points (u, 0 ..= short) of one row.
    let mut row: Vec<Table> = Vec::new();
    for u in 0..=long {
        let mut next: Vec<Table> = Vec::with_capacity(short + 1);
        let mut size = 0;
        for v in 0..=short {
            let step = v as i128 * short_step - u as i128 * long_step;
            let add = u64::try_from(step * step).map_err(|_| too_large())?;
            let mut table = if u == 0 && v == 0 {
                vec![(0, 1.0)]
            } else {
                let total = (u + v) as f64;
                merge(row.get(v), u as f64 / total, next.last(), v as f64 / total)
            };
            for (value, _) in &mut table {
                *value = value.checked_add(add).ok_or_else(too_large)?;
            }
            size += table.len();
            if size > MAX_TABLES {
                return Err(too_large());
            }
            next.push(table);
        }
        row = next;
    }
    let shares = row.last().into_iter().flatten();
    Ok(shares
        .filter(|(value, _)| i128::from(*value) >= bound)
        .map(|(_, share)| share)
        .sum())
}

/// Values in ascending order, each with its share.
type Table = Vec<(u64, f64)>;

fn merge(left: Option<&Table>, left_share: f64, below: Option<&Table>, below_share: f64) -> Table {
    let (mut left, mut below) = (
        left.map_or(&[][..], Vec::as_slice),
        below.map_or(&[][..], Vec::as_slice),
    );
    let mut merged = Vec::with_capacity(left.len().max(below.len()));
    loop {
        match (left, below) {
            ([(a, p), left_rest @ ..], [(b, q), below_rest @ ..]) if a == b => {
                merged.push((*a, p * left_share + q * below_share));
                (left, below) = (left_rest, below_rest);
            }
            ([(a, p), rest @ ..], [(b, _), ..]) if a < b => {
                merged.push((*a, p * left_share));
                left = rest;
            }
            (_, [(b, q), rest @ ..]) => {
                merged.push((*b, q * below_share));
                below = rest;
            }
            ([(a, p), rest @ ..], []) => {
                merged.push((*a, p * left_share));
                left = rest;
            }
            ([], []) => return merged,
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

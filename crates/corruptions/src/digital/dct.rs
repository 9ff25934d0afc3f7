//! The 8 x 8 cosine transform in integers, as libjpeg's accurate method ("islow") computes it: the algorithm of Loeffler,
//! Ligtenberg and Moschytz (1989) with 11 multiplications a row, constants with 13 bits behind the point.

/// Bits behind the point of the constants.
const CONSTANT_BITS: u32 = 13;
/// Extra bits kept between the two passes.
const PASS_BITS: u32 = 2;

const FIX_0_298: i32 = 2446;
const FIX_0_390: i32 = 3196;
const FIX_0_541: i32 = 4433;
const FIX_0_765: i32 = 6270;
const FIX_0_899: i32 = 7373;
const FIX_1_175: i32 = 9633;
const FIX_1_501: i32 = 12299;
const FIX_1_847: i32 = 15137;
const FIX_1_961: i32 = 16069;
const FIX_2_053: i32 = 16819;
const FIX_2_562: i32 = 20995;
const FIX_3_072: i32 = 25172;

/// Drops `bits` bits, rounding to the nearest.
const fn descale(value: i32, bits: u32) -> i32 {
    (value + (1 << (bits - 1))) >> bits
}

fn transpose(block: &mut [[i32; 8]; 8]) {
    for i in 0..8 {
        for j in 0..i {
            let (upper, lower) = block.split_at_mut(i);
            std::mem::swap(&mut upper[j][i], &mut lower[0][j]);
        }
    }
}

/// The coefficients of a block of samples, -128..=127; they come out eight times too large.
pub(super) fn forward(block: &mut [[i32; 8]; 8]) {
    for row in block.iter_mut() {
        *row = forward_8::<true>(*row);
    }
    transpose(block);
    for column in block.iter_mut() {
        *column = forward_8::<false>(*column);
    }
    transpose(block);
}

/// The samples of a block of coefficients (in their true size), not yet limited to -128..=127.
pub(super) fn inverse(block: &mut [[i32; 8]; 8]) {
    transpose(block);
    for column in block.iter_mut() {
        *column = inverse_8::<{ CONSTANT_BITS - PASS_BITS }>(*column);
    }
    transpose(block);
    for row in block.iter_mut() {
        *row = inverse_8::<{ CONSTANT_BITS + PASS_BITS + 3 }>(*row);
    }
}

/// One row; `FIRST` is the pass that adds the extra bits, the other takes them away.
fn forward_8<const FIRST: bool>(d: [i32; 8]) -> [i32; 8] {
    let bits = if FIRST {
        CONSTANT_BITS - PASS_BITS
    } else {
        CONSTANT_BITS + PASS_BITS
    };
    let plain = |value: i32| {
        if FIRST {
            value << PASS_BITS
        } else {
            descale(value, PASS_BITS)
        }
    };
    let sum = [d[0] + d[7], d[1] + d[6], d[2] + d[5], d[3] + d[4]];
    let difference = [d[3] - d[4], d[2] - d[5], d[1] - d[6], d[0] - d[7]];

    let (outer, inner) = ([sum[0] + sum[3], sum[0] - sum[3]], [sum[1] + sum[2], sum[1] - sum[2]]);
    let turn = (inner[1] + outer[1]) * FIX_0_541;
    let even = [
        plain(outer[0] + inner[0]),
        descale(turn + outer[1] * FIX_0_765, bits),
        plain(outer[0] - inner[0]),
        descale(turn - inner[1] * FIX_1_847, bits),
    ];
    let odd = odd_part(difference).map(|value| descale(value, bits));
    [even[0], odd[3], even[1], odd[2], even[2], odd[1], even[3], odd[0]]
}

/// One row of the inverse transform; `BITS` are dropped in the end.
fn inverse_8<const BITS: u32>(c: [i32; 8]) -> [i32; 8] {
    let turn = (c[2] + c[6]) * FIX_0_541;
    let (low, high) = (turn - c[6] * FIX_1_847, turn + c[2] * FIX_0_765);
    let (sum, difference) = ((c[0] + c[4]) << CONSTANT_BITS, (c[0] - c[4]) << CONSTANT_BITS);
    let even = [sum + high, difference + low, difference - low, sum - high];
    let odd = odd_part([c[7], c[5], c[3], c[1]]);
    let mut out = [0; 8];
    for i in 0..4 {
        out[i] = descale(even[i] + odd[3 - i], BITS);
        out[7 - i] = descale(even[i] - odd[3 - i], BITS);
    }
    out
}

/// The rotations of the odd half, the same in both directions.
fn odd_part([a, b, c, d]: [i32; 4]) -> [i32; 4] {
    let common = (a + c + b + d) * FIX_1_175;
    let (z1, z2) = ((a + d) * -FIX_0_899, (b + c) * -FIX_2_562);
    let (z3, z4) = ((a + c) * -FIX_1_961 + common, (b + d) * -FIX_0_390 + common);
    [
        a * FIX_0_298 + z1 + z3,
        b * FIX_2_053 + z2 + z4,
        c * FIX_3_072 + z2 + z3,
        d * FIX_1_501 + z1 + z4,
    ]
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    fn some_block() -> [[i32; 8]; 8] {
        std::array::from_fn(|y| std::array::from_fn(|x| ((x * 37 + y * 91 + x * y * 13) % 256) as i32 - 128))
    }

    #[test]
    fn forward_is_the_cosine_transform_times_eight() {
        let (block, mut coefficients) = (some_block(), some_block());
        forward(&mut coefficients);
        for (v, row) in coefficients.iter().enumerate() {
            for (u, &coefficient) in row.iter().enumerate() {
                let scale = |k: usize| if k == 0 { 0.5f64.sqrt() } else { 1.0 };
                let mut exact = 0.0;
                for (y, row) in block.iter().enumerate() {
                    for (x, &value) in row.iter().enumerate() {
                        let wave = |k: usize, n: usize| ((2 * n + 1) as f64 * k as f64 * PI / 16.0).cos();
                        exact += f64::from(value) * wave(u, x) * wave(v, y);
                    }
                }
                exact *= scale(u) * scale(v) / 4.0;
                assert!(
                    (f64::from(coefficient) / 8.0 - exact).abs() < 0.25,
                    "coefficient {v}, {u}"
                );
            }
        }
    }

    #[test]
    fn inverse_undoes_forward_up_to_rounding() {
        let (block, mut coded) = (some_block(), some_block());
        forward(&mut coded);
        for coefficient in coded.as_flattened_mut() {
            *coefficient = descale(*coefficient, 3);
        }
        inverse(&mut coded);
        for (got, want) in coded.as_flattened().iter().zip(block.as_flattened()) {
            assert!((got - want).abs() <= 2, "{got} for {want}");
        }
    }
}

//! Picks one of many by weight in constant time: Walker's alias table, in Vose's construction.

/// The table: a throw lands on a column, and stays there or goes to the column's alias.
pub(super) struct Alias {
    /// Of 2^32 throws on this column, those that stay; and where the others go.
    columns: Vec<(u32, u32)>,
}

impl Alias {
    /// A table of at least one weight, none negative and not all 0.
    pub(super) fn new(weights: &[f64]) -> Self {
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut share: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let mut columns: Vec<_> = (0..share.len()).map(|n| (u32::MAX, n as u32)).collect();
        let (mut poor, mut rich): (Vec<_>, Vec<_>) =
            (0..share.len()).partition(|&column| share[column] < 1.0);
        while let (Some(&from), Some(to)) = (rich.last(), poor.pop()) {
            columns[to] = ((share[to] * 2_f64.powi(32)) as u32, from as u32);
            share[from] -= 1.0 - share[to];
            if share[from] < 1.0 {
                rich.pop();
                poor.push(from);
            }
        }
        Self { columns }
    }

    /// The index that 64 random bits stand for.
    #[inline]
    pub(super) fn pick(&self, bits: u64) -> usize {
        let column = ((bits >> 32) * self.columns.len() as u64) >> 32;
        let (stay, alias) = self.columns[column as usize];
        if (bits as u32) <= stay { column as usize } else { alias as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    #[test]
    fn everybody_is_picked_by_weight() {
        let mut rng = Pcg64Mcg::seed_from_u64(5);
        for weights in [&[1.0][..], &[2.0, 2.0], &[1.0, 0.0, 3.0, 6.0], &[0.5; 33]] {
            let (alias, throws) = (Alias::new(weights), 400_000);
            let mut counts = vec![0.0; weights.len()];
            (0..throws).for_each(|_| counts[alias.pick(rng.next_u64())] += 1.0);
            let total: f64 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(weights) {
                let (found, right) = (count / f64::from(throws), weight / total);
                assert!((found - right).abs() < 0.005, "{found} for {right} of {weights:?}");
            }
        }
    }
}

//! Change points: PELT (Killick, Fearnhead and Eckley, "Optimal detection of changepoints with a linear computational cost", JASA
//! 107, 2012).

/// Splits `n` values into segments of at least `least` so that the segments' costs and a penalty for each but the first add up to
/// the least sum: the starts of the segments, the first at 0.
///
/// `cost(from, to)` is that of the values `from..to`. Splitting a segment must not raise it.
pub fn segments(n: usize, least: usize, penalty: f64, cost: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    if n < 2 * least {
        return vec![0];
    }
    let mut best = vec![f64::INFINITY; n + 1];
    best[0] = -penalty;
    let mut previous = vec![0; n + 1];
    let mut candidates = vec![0];
    for end in least..=n {
        let reached = |from: usize| best[from] + cost(from, end);
        let Some(&from) = candidates.iter().filter(|&&c| end - c >= least).min_by(|&&a, &&b| reached(a).total_cmp(&reached(b)))
        else {
            continue;
        };
        let value = reached(from) + penalty;
        candidates.retain(|&c| end - c < least || best[c] + cost(c, end) <= value);
        (best[end], previous[end]) = (value, from);
        // `end` may begin a segment once it ends one itself.
        candidates.push(end);
    }
    let mut starts = Vec::new();
    let mut at = n;
    while at > 0 {
        at = previous[at];
        starts.push(at);
    }
    starts.reverse();
    starts
}

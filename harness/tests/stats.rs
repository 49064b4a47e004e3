//! The statistics against vectors computed with scipy and libkalibera's formulas, against properties, and
//! against simulations with known truth.

use pepjit_harness::stats::paired::{self, Decision, Paired};
use pepjit_harness::stats::suite::{self, Merged};
use pepjit_harness::stats::variance::Components;
use pepjit_harness::stats::warmup::{self, Class, Consensus};
use pepjit_harness::stats::{compare, mean, multiple, sd, t_quantile};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("data/stats_vectors.json")).expect("the vectors are JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn processes(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().expect("an array").iter().map(numbers).collect()
}

#[track_caller]
fn close(got: f64, want: &Value) {
    let want = want.as_f64().unwrap_or_else(|| panic!("{want} is not a number"));
    assert!((got - want).abs() <= 1e-9 * want.abs().max(f64::MIN_POSITIVE), "got {got:e}, want {want:e}");
}

/// A process's mean log time.
fn log_means(processes: &[Vec<f64>]) -> Vec<f64> {
    processes.iter().map(|p| p.iter().map(|t| t.ln()).sum::<f64>() / p.len() as f64).collect()
}

fn log_differences(v: &Value) -> Vec<f64> {
    let (a, b) = (log_means(&processes(&v["A"])), log_means(&processes(&v["B"])));
    a.iter().zip(&b).map(|(a, b)| a - b).collect()
}

#[test]
fn paired_log_ratios_match_the_vectors() {
    let v = vectors();
    let want = &v["paired_log"];
    let p = Paired::new(&log_differences(&v)).expect("six pairs");
    assert_eq!(p.n as u64, want["n"].as_u64().expect("n"));
    close(p.mean, &want["mean_log_speedup"]);
    close(p.sd.expect("sd"), &want["sd"]);
    close(t_quantile(0.975, 5.0), &want["t975"]);
    close(p.mean.exp(), &want["speedup"]);
    let (low, high) = p.interval(0.05).expect("an interval");
    close(low.exp(), &want["ci95"][0]);
    close(high.exp(), &want["ci95"][1]);
    for bound in ["1.02", "1.05", "1.06"] {
        let log = bound.parse::<f64>().expect("a number").ln();
        close(p.p_above(log).expect("p"), &want[format!("p_one_sided_speedup>= {bound}")]);
    }
    close(paired::sign_flip_exact(&log_differences(&v)).expect("p"), &v["sign_flip_exact_p"]);
}

#[test]
fn variance_components_match_the_vectors() {
    let v = vectors();
    for name in ["A", "B"] {
        let want = &v[format!("kalibera_{name}")];
        let c = Components::new(&processes(&v[name])).expect("a balanced experiment");
        close(c.mean, &want["mean"]);
        close(c.s1, &want["S1^2"]);
        close(c.s2, &want["S2^2"]);
        close(c.t1(), &want["T1^2"]);
        close(c.t2(), &want["T2^2"]);
        close(c.best_iterations(1.5, 0.1), &want["opt_values_per_process(c2=1.5s,c1=0.1s)"]);
        close(c.half_width(0.05), &want["ci95_half"]);
    }
}

#[test]
fn unpaired_comparisons_match_the_vectors() {
    let v = vectors();
    let (a, b) = (processes(&v["A"]), processes(&v["B"]));
    let welch = compare::welch(&log_means(&a), &log_means(&b)).expect("a test");
    close(welch.t, &v["welch_on_process_means_log"]["t"]);
    close(welch.p, &v["welch_on_process_means_log"]["p"]);
    // The same test from summaries alone.
    let summary = |processes: &[Vec<f64>]| Paired::new(&log_means(processes)).expect("processes");
    let difference = compare::Unpaired::new(&summary(&b), &summary(&a)).expect("a difference");
    close(difference.mean / difference.se, &v["welch_on_process_means_log"]["t"]);
    close(difference.p_two_sided(), &v["welch_on_process_means_log"]["p"]);
    let (low, high) = difference.interval(0.05);
    assert!(low < difference.mean && difference.mean < high);
    assert!((difference.p_below(high) - 0.025).abs() < 1e-9, "the interval's end is where the one-sided p value is 2.5 %");
    let pooled = compare::student_pooled(&a.concat(), &b.concat()).expect("a test");
    close(pooled.t, &v["pyperf_student_pooled"]["t"]);
    close(pooled.df, &v["pyperf_student_pooled"]["df"]);

    let part = |p: &[Vec<f64>]| {
        let c = Components::new(p).expect("balanced");
        (c.mean, c.half_width(0.05))
    };
    let (low, high) = compare::fieller(part(&a), part(&b)).expect("bounded");
    close(low, &v["fieller_A_over_B"]["ci95"][0]);
    close(high, &v["fieller_A_over_B"]["ci95"][1]);
}

#[test]
fn required_pairs_match_the_vectors() {
    let v = vectors();
    let number = |key: &str| key.split('=').nth(1).and_then(|n| n.parse::<f64>().ok()).expect("key=number");
    for (sd_key, row) in v["n_required_pairs"].as_object().expect("an object") {
        for (delta_key, want) in row.as_object().expect("an object") {
            // The vectors' delta is a ratio: 0.01 is "1 % faster".
            let delta = number(delta_key).ln_1p();
            let got = paired::required_pairs(number(sd_key), delta, 0.05, 0.8);
            assert_eq!(got.map(u64::from), want.as_u64(), "{sd_key} {delta_key}");
        }
    }
}

#[test]
fn adjusted_p_values_match_the_vectors() {
    let v = vectors();
    let p = numbers(&v["multiplicity"]["p"]);
    for (got, want) in [(multiple::holm(&p), "holm"), (multiple::benjamini_hochberg(&p), "bh")] {
        for (got, want) in got.iter().zip(v["multiplicity"][want].as_array().expect("an array")) {
            close(*got, want);
        }
    }
}

#[test]
fn few_pairs_state_no_interval() {
    for n in 1..paired::MIN_PAIRS {
        let p = Paired::new(&vec![0.1; n]).expect("pairs");
        assert_eq!(p.interval(0.05), None);
        assert_eq!(p.mde(0.05), None);
        assert_eq!(p.non_inferior(0.03, 0.05), Decision::Inconclusive);
    }
    assert_eq!(Paired::new(&[]), None);
}

#[test]
fn pairs_without_spread_decide_without_dividing_by_zero() {
    let p = Paired::new(&[0.0; 5]).expect("pairs");
    assert_eq!(p.p_two_sided(), Some(1.0));
    assert_eq!(p.interval(0.05), Some((0.0, 0.0)));
    let p = Paired::new(&[0.25; 5]).expect("pairs");
    assert_eq!(p.p_two_sided(), Some(0.0));
    assert_eq!(p.p_above(0.0), Some(0.0));
    assert_eq!(p.p_below(0.0), Some(1.0));
}

#[test]
fn non_inferiority_has_three_answers() {
    let tight = |centre: f64| Paired::new(&[centre - 0.001, centre, centre + 0.001]).expect("pairs");
    assert_eq!(tight(0.0).non_inferior(0.03, 0.05), Decision::Holds);
    assert_eq!(tight(-0.1).non_inferior(0.03, 0.05), Decision::Fails);
    let wide = Paired::new(&[-0.2, 0.0, 0.2]).expect("pairs");
    assert_eq!(wide.non_inferior(0.03, 0.05), Decision::Inconclusive);
}

#[test]
fn incomplete_rounds_stay_out_of_the_suite() {
    let differences = [vec![Some(0.1), Some(0.2), Some(0.3), Some(9.0)], vec![Some(0.3), Some(0.4), Some(0.5), None]];
    let g = suite::over_rounds(&differences).expect("rounds");
    assert_eq!(g.n, 3);
    assert!((g.mean - 0.3).abs() < 1e-12);
}

#[test]
fn platforms_weigh_the_same() {
    let one = Paired { n: 5, mean: 0.1, sd: Some(0.01) };
    let two = Paired { n: 5, mean: 0.3, sd: Some(0.01) };
    let merged = Merged::new(&[one, two]).expect("standard errors");
    let se = 0.01 / 5f64.sqrt();
    assert!((merged.mean - 0.2).abs() < 1e-12);
    assert!((merged.se - (2.0 * se * se).sqrt() / 2.0).abs() < 1e-12);
    assert!((merged.df - 8.0).abs() < 1e-9, "equal variances pool their degrees of freedom");
    assert_eq!(Merged::new(&[one, Paired { n: 1, mean: 0.0, sd: None }]), None);
}

/// Normal deviates by Box and Muller.
fn normal(rng: &mut StdRng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Share of `runs` simulated suites whose 95 % interval holds the truth: K workloads of 2 % spread, a common
/// shift of each round, and true speed-ups that differ between workloads.
#[test]
fn suite_intervals_cover_at_their_level() {
    let mut rng = StdRng::seed_from_u64(20_261_123);
    for rounds in [5, 10] {
        let runs = 2000;
        let mut held = 0;
        for _ in 0..runs {
            let truths: Vec<f64> = (0..12).map(|_| 0.1 * normal(&mut rng)).collect();
            let shift: Vec<f64> = (0..rounds).map(|_| 0.01 * normal(&mut rng)).collect();
            let differences: Vec<Vec<Option<f64>>> =
                truths.iter().map(|t| shift.iter().map(|s| Some(t + s + 0.02 * normal(&mut rng))).collect()).collect();
            let (low, high) = suite::over_rounds(&differences).and_then(|g| g.interval(0.05)).expect("interval");
            held += u32::from((low..=high).contains(&mean(&truths)));
        }
        let coverage = f64::from(held) / f64::from(runs);
        assert!((0.935..=0.965).contains(&coverage), "coverage {coverage} at R = {rounds}");
    }
}

#[test]
fn bootstrap_t_covers_near_its_level_and_repeats_itself() {
    let mut rng = StdRng::seed_from_u64(7);
    let runs = 300;
    let mut held = 0;
    for seed in 0..runs {
        let d: Vec<f64> = (0..10).map(|_| 0.05 + 0.02 * normal(&mut rng)).collect();
        let (low, high) = paired::bootstrap_t(&d, 0.05, 400, seed).expect("interval");
        held += u64::from((low..=high).contains(&0.05));
        if seed == 0 {
            assert_eq!(paired::bootstrap_t(&d, 0.05, 400, 0), Some((low, high)));
        }
    }
    let coverage = held as f64 / runs as f64;
    assert!((0.90..=0.99).contains(&coverage), "coverage {coverage}");
}

fn noisy(rng: &mut StdRng, levels: &[(usize, f64)]) -> Vec<f64> {
    levels.iter().flat_map(|&(n, level)| vec![level; n]).map(|l| l * (1.0 + 0.002 * normal(rng))).collect()
}

#[test]
fn warm_up_classes() {
    let mut rng = StdRng::seed_from_u64(11);
    let flat = warmup::classify(&noisy(&mut rng, &[(300, 1.0)])).expect("long enough");
    assert_eq!((flat.class, flat.steady_from), (Class::Flat, Some(0)));
    let warming = warmup::classify(&noisy(&mut rng, &[(40, 2.0), (260, 1.0)])).expect("long enough");
    assert_eq!((warming.class, warming.steady_from), (Class::Warmup, Some(40)));
    let slowing = warmup::classify(&noisy(&mut rng, &[(100, 1.0), (200, 1.5)])).expect("long enough");
    assert_eq!((slowing.class, slowing.steady_from), (Class::Slowdown, Some(100)));
    let unsteady = warmup::classify(&noisy(&mut rng, &[(250, 1.0), (50, 1.5)])).expect("long enough");
    assert_eq!((unsteady.class, unsteady.steady_from), (Class::NoSteadyState, None));
    assert_eq!(warmup::classify(&[1.0; 9]), None);
    let constant = warmup::classify(&[1.0; 50]).expect("long enough");
    assert_eq!(constant.class, Class::Flat);
}

#[test]
fn lone_outliers_are_set_aside() {
    let mut rng = StdRng::seed_from_u64(13);
    let mut times = noisy(&mut rng, &[(300, 1.0)]);
    times[150] = 5.0;
    let s = warmup::classify(&times).expect("long enough");
    assert_eq!(s.class, Class::Flat);
    assert!(s.outliers.contains(&150));
}

#[test]
fn processes_agree_or_not() {
    use Class::{Flat, NoSteadyState, Slowdown, Warmup};
    assert_eq!(warmup::consensus(&[Flat, Flat]), Some(Consensus::All(Flat)));
    assert_eq!(warmup::consensus(&[Flat, Warmup]), Some(Consensus::GoodInconsistent));
    assert_eq!(warmup::consensus(&[Flat, Slowdown]), Some(Consensus::BadInconsistent));
    assert_eq!(warmup::consensus(&[NoSteadyState, Warmup]), Some(Consensus::BadInconsistent));
    assert_eq!(warmup::consensus(&[]), None);
}

#[test]
fn break_even_is_the_last_crossing() {
    let singles = |times: &[f64]| times.iter().map(|t| (1, *t)).collect::<Vec<(u64, f64)>>();
    // Behind by 2 after the first iteration, then gaining 0.5 each: level after five.
    let (base, tier) = (singles(&[1.0; 8]), singles(&[3.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]));
    assert_eq!(warmup::break_even(&base, &tier), Some(5));
    assert_eq!(warmup::break_even(&base, &singles(&[0.5; 8])), Some(1));
    assert_eq!(warmup::break_even(&base, &singles(&[1.5; 8])), None);
    // The same, in stretches.
    assert_eq!(warmup::break_even(&[(1, 1.0), (7, 1.0)], &[(1, 3.0), (7, 0.5)]), Some(5));
    assert_eq!(warmup::break_even(&[(1, 1.0), (7, 1.0)], &[(1, 3.0), (6, 0.5)]), None);
    assert_eq!(warmup::break_even(&[], &[]), None);
}

/// Times with a long tail, so that some are outliers.
fn spiky() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((0.9..1.1f64, 0u32..50).prop_map(|(t, spike)| if spike == 0 { t * 3.0 } else { t }), 1..500)
}

#[test]
fn quantiles_near_the_median_are_as_exact_as_others() {
    // There the distribution is as good as straight: P(T <= t) = 1/2 + t f(0), with f(0) = 1/pi for one degree of freedom.
    for t in [1e-3, 2.9e-5, -1e-7, 1e-9] {
        let exact = 0.5 + f64::atan(t) / std::f64::consts::PI;
        assert!((pepjit_harness::stats::t_upper_tail(-t, 1.0) - exact).abs() < 1e-15, "{t}");
    }
    let p = 0.500_011_620_185_507_7;
    assert!((pepjit_harness::stats::t_upper_tail(-t_quantile(p, 42.0), 42.0) - p).abs() < 1e-15);
}

proptest! {
    #[test]
    fn swapping_the_sides_inverts_the_result(d in prop::collection::vec(-1.0..1.0f64, 3..20)) {
        let there = Paired::new(&d).expect("pairs");
        let back = Paired::new(&d.iter().map(|x| -x).collect::<Vec<_>>()).expect("pairs");
        let ((low, high), (low2, high2)) = (there.interval(0.05).expect("ci"), back.interval(0.05).expect("ci"));
        prop_assert!((low + high2).abs() < 1e-12 && (high + low2).abs() < 1e-12);
        prop_assert!((there.p_above(0.0).expect("p") - back.p_below(0.0).expect("p")).abs() < 1e-12);
    }

    #[test]
    fn a_holding_claim_has_a_small_p(d in prop::collection::vec(-1.0..1.0f64, 3..20), bound in -1.0..1.0f64) {
        let p = Paired::new(&d).expect("pairs");
        prop_assume!(sd(&d) > 1e-9);
        let holds = p.at_least(bound, 0.05) == Decision::Holds;
        let p_value = p.p_above(bound).expect("p");
        prop_assume!((p_value - 0.05).abs() > 1e-9);
        prop_assert_eq!(holds, p_value < 0.05);
    }

    #[test]
    fn quantiles_invert_the_distribution(p in 0.0005..0.9995f64, df in 1u32..200) {
        let t = t_quantile(p, f64::from(df));
        let back = pepjit_harness::stats::t_upper_tail(-t, f64::from(df));
        prop_assert!((back - p).abs() < 1e-11, "{} -> {} -> {}", p, t, back);
    }

    #[test]
    fn adjusting_never_lowers_a_p_value(p in prop::collection::vec(0.0..=1.0f64, 1..30)) {
        for adjusted in [multiple::holm(&p), multiple::benjamini_hochberg(&p)] {
            for (raw, adjusted) in p.iter().zip(&adjusted) {
                prop_assert!(adjusted >= raw && *adjusted <= 1.0);
            }
        }
    }

    #[test]
    fn more_spread_needs_more_pairs(sd in 0.001..0.2f64, delta in 0.002..0.2f64) {
        let few = paired::required_pairs(sd, delta, 0.05, 0.8);
        let many = paired::required_pairs(sd * 1.5, delta, 0.05, 0.8);
        if let (Some(few), Some(many)) = (few, many) {
            prop_assert!(many >= few && few >= 3);
        }
    }

    #[test]
    fn outliers_are_those_of_each_window(times in spiky()) {
        let width = times.len().min(200);
        let expected: Vec<usize> = (0..times.len()).filter(|&i| {
            let start = i.saturating_sub(width / 2).min(times.len() - width);
            let mut window = times[start..start + width].to_vec();
            window.sort_by(f64::total_cmp);
            let q = |share| pepjit_harness::stats::sorted_quantile(&window, share);
            (times[i] - q(0.5)).abs() > 3.0 * (q(0.9) - q(0.1))
        }).collect();
        prop_assert_eq!(warmup::outliers(&times), expected);
    }

    #[test]
    fn segments_begin_at_zero_and_rise(times in prop::collection::vec(0.1..10.0f64, 10..120)) {
        let s = warmup::change_points(&times);
        prop_assert_eq!(s[0], 0);
        prop_assert!(s.windows(2).all(|w| w[1] >= w[0] + 2));
        prop_assert!(warmup::classify(&times).is_some());
    }
}

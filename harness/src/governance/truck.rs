//! Authorship of files, and the truck factor.
//!
//! Degree of authorship after Fritz, Murphy, Murphy-Hill, Ou and Hill (TOSEM 23, 2014), with the weights, thresholds and greedy
//! algorithm of Avelino, Passos, Hora and Valente, "A novel approach for estimating truck factors" (ICPC 2016).

use std::collections::HashMap;

use super::fold::FileFacts;
use super::{Author, TruckFactor};

/// Somebody is an author with more than this share of the file's greatest degree of authorship ...
const NORMALISED: f64 = 0.75;
/// ... and at least this degree.
const ABSOLUTE: f64 = 3.293;

/// The degree of authorship: `first` for who made the file, `deliveries` are one's own later changes, `others` those of the others.
fn degree(first: bool, deliveries: u32, others: u32) -> f64 {
    3.293 + 1.098 * f64::from(u8::from(first)) + 0.164 * f64::from(deliveries) - 0.321 * f64::from(others).ln_1p()
}

/// A file's authors, the greatest degree first, names deciding between equals.
pub(super) fn authors(file: &FileFacts, names: &[String]) -> Vec<u32> {
    let mut everyone: Vec<u32> = file.creators.iter().chain(file.deliveries.keys()).copied().collect();
    everyone.sort_unstable();
    everyone.dedup();
    let of = |person: u32| {
        let own = file.deliveries.get(&person).copied().unwrap_or(0);
        degree(file.creators.contains(&person), own, file.changes - own)
    };
    let mut degrees: Vec<(u32, f64)> = everyone.into_iter().map(|person| (person, of(person))).collect();
    let greatest = degrees.iter().map(|d| d.1).fold(f64::NEG_INFINITY, f64::max);
    degrees.retain(|(_, degree)| *degree >= ABSOLUTE && *degree > NORMALISED * greatest);
    degrees.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| names[a.0 as usize].cmp(&names[b.0 as usize])));
    degrees.into_iter().map(|d| d.0).collect()
}

/// Lets the authors of most files leave, one after another, until fewer than half of the files have one.
pub(super) fn truck_factor(files: &[Vec<u32>], names: &[String]) -> TruckFactor {
    let mut authored: HashMap<u32, Vec<usize>> = HashMap::new();
    for (file, authors) in files.iter().enumerate() {
        for person in authors {
            authored.entry(*person).or_default().push(file);
        }
    }
    let mut left: Vec<usize> = files.iter().map(Vec::len).collect();
    let without_author = left.iter().filter(|n| **n == 0).count();
    let mut covered = files.len() - without_author;
    let mut order: Vec<(u32, Vec<usize>)> = authored.into_iter().collect();
    order.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| names[a.0 as usize].cmp(&names[b.0 as usize])));
    let mut leave = Vec::new();
    for (person, own) in order {
        if 2 * covered < files.len() {
            break;
        }
        leave.push(Author { name: names[person as usize].clone(), files: own.len() });
        for file in own {
            left[file] -= 1;
            covered -= usize::from(left[file] == 0);
        }
    }
    TruckFactor { factor: leave.len(), leave, without_author }
}

/// The fewest people with half of the contributions, of these counts (CHAOSS, "Contributor Absence Factor").
pub(super) fn absence_factor(counts: impl Iterator<Item = usize>) -> Option<usize> {
    let mut counts: Vec<usize> = counts.filter(|n| *n > 0).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let total: usize = counts.iter().sum();
    let mut sum = 0;
    let needed = counts.iter().position(|n| {
        sum += n;
        2 * sum >= total
    });
    needed.map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["ann", "bob", "cy"].map(str::to_owned).to_vec()
    }

    fn file(creators: &[u32], deliveries: &[(u32, u32)]) -> FileFacts {
        FileFacts {
            creators: creators.to_vec(),
            deliveries: deliveries.iter().copied().collect(),
            changes: deliveries.iter().map(|d| d.1).sum(),
            last_change: 0,
        }
    }

    #[test]
    fn degrees_are_those_of_the_formula() {
        assert!((degree(true, 0, 0) - 4.391).abs() < 1e-12);
        assert!((degree(false, 10, 3) - (3.293 + 1.64 - 0.321 * 4f64.ln())).abs() < 1e-12);
    }

    #[test]
    fn who_made_it_stays_its_author_until_others_did_much_more() {
        // 4.391 - 0.321 ln 2 = 4.168 against 3.293 + 0.164 = 3.457, which is 83 % of it: both.
        assert_eq!(authors(&file(&[0], &[(1, 1)]), &names()), [0, 1]);
        // 4.391 - 0.321 ln 31 = 3.289 falls below the absolute threshold, whatever the others have.
        assert_eq!(authors(&file(&[0], &[(1, 30)]), &names()), [1]);
        // 4.391 + 10 * 0.164 - 0.321 ln 2 = 5.81, of which 3.457 - 0.321 ln 11 is less than three quarters.
        assert_eq!(authors(&file(&[0], &[(0, 10), (1, 1)]), &names()), [0]);
        assert_eq!(authors(&file(&[], &[]), &names()), Vec::<u32>::new());
    }

    #[test]
    fn people_leave_until_over_half_of_the_files_have_nobody() {
        // Ann leaves: two of four files have nobody, which is not over half. Bob leaves: three.
        let files = [vec![0], vec![0], vec![1], vec![2]];
        let factor = truck_factor(&files, &names());
        assert_eq!(factor.factor, 2);
        assert_eq!(factor.leave, [Author { name: "ann".into(), files: 2 }, Author { name: "bob".into(), files: 1 }]);
        assert_eq!(truck_factor(&[vec![0, 1], vec![0, 1], vec![]], &names()).factor, 2);
        assert_eq!(truck_factor(&[vec![], vec![], vec![0]], &names()).factor, 0, "over half have nobody to begin with");
        assert_eq!(truck_factor(&[], &names()).factor, 0);
    }

    #[test]
    fn the_absence_factor_is_the_fewest_with_half() {
        assert_eq!(absence_factor([1, 5, 2, 2].into_iter()), Some(1));
        assert_eq!(absence_factor([4, 3, 2, 2].into_iter()), Some(2));
        assert_eq!(absence_factor([0, 0].into_iter()), None);
    }
}

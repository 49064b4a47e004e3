//! Looking at a run before it is complete, without letting the looks decide it: `--until-decided`, and rounds added later.

use anyhow::{Result, bail};
use pepjit_harness::analysis::RunData;
use pepjit_harness::gate::{self, Answer, Thresholds};
use pepjit_harness::model::{Manifest, RunDir};
use pepjit_harness::runner::{Interrupt, blocks_left};

use super::plan::Notes;
use super::{Args, carry_out, finish, sites_folder};

/// The thresholds of --until-decided, with at least one look.
pub(super) fn planned(args: &Args) -> Result<Thresholds> {
    let path = crate::gate::thresholds_file(args.thresholds.clone());
    let thresholds = Thresholds::load(&path)?;
    if thresholds.looks.is_empty() {
        bail!("{} plans no looks, so --until-decided has none to stop at: add `looks = [5, 10, 20]`", path.display());
    }
    Ok(thresholds)
}

/// Runs what is left of a run; with --until-decided, from look to look until no criterion is open.
pub(super) fn decided(args: &Args, dir: &RunDir, notes: &Notes, interrupt: &Interrupt) -> Result<finish::End> {
    loop {
        let end = carry_out(args, dir, notes, interrupt)?;
        if !args.until_decided || end.is_over() {
            return Ok(end);
        }
        let mut manifest = dir.manifest()?;
        let rounds = manifest.design.rounds;
        let judgement = gate::judge(&RunData::load(dir.root())?, &planned(args)?)?;
        let open = judgement.outcomes.iter().filter(|o| o.answer == Answer::Inconclusive).count();
        let next = manifest.design.looks.iter().copied().find(|look| *look > rounds);
        let said = format!("after {rounds} rounds: {}", judgement.answer.word());
        match next.filter(|_| judgement.answer == Answer::Inconclusive) {
            None => {
                eprintln!("{said}");
                let _ = std::fs::remove_dir_all(sites_folder(dir)?);
                return Ok(end);
            }
            Some(next) => {
                eprintln!("{said}, {open} of {} criteria are open: on to {next} rounds", judgement.outcomes.len());
                manifest.design.rounds = next;
                dir.write_manifest(&manifest)?;
            }
        }
    }
}

/// Takes more rounds, or plans looks, for a run that is gone on with. Whoever adds rounds to a complete run has seen what
/// it says: that is a look, and is noted as one.
pub(super) fn more_rounds(args: &Args, dir: &RunDir, manifest: &mut Manifest) -> Result<()> {
    let before = manifest.design.clone();
    let design = &mut manifest.design;
    let seen = blocks_left(dir)? == 0;
    if args.until_decided {
        let planned = planned(args)?.looks;
        if design.looks.is_empty() && seen {
            design.looks.push(design.rounds);
        }
        let last = design.looks.last().copied().unwrap_or(0);
        let rounds = design.rounds;
        design.looks.extend(planned.iter().copied().filter(|look| *look > last && *look >= rounds));
        if let Some(next) = design.looks.iter().copied().find(|look| if seen { *look > rounds } else { *look >= rounds }) {
            design.rounds = next;
        }
    } else if let Some(rounds) = args.rounds.filter(|rounds| *rounds != design.rounds) {
        if seen && rounds > design.rounds {
            if design.looks.is_empty() {
                design.looks.push(design.rounds);
            }
            if design.looks.last().is_none_or(|look| *look < rounds) {
                design.looks.push(rounds);
            }
        }
        design.rounds = rounds;
    }
    if manifest.design != before {
        dir.write_manifest(manifest)?;
    }
    Ok(())
}

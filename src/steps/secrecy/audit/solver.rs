//! The attacker's linear programs, by another solver than the protector's: Clarabel, an interior-point method in Rust
//! (Goulart & Chen 2024). This file alone names it. Its points are proposals, made tables and judged in whole numbers by
//! [`super::interval`].

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettings, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus, ZeroConeT};

/// Steps before a program is given up; thirty are many.
const STEPS_MAX: u32 = 200;

/// A program whose costs change and whose constraints stay: each column within its bounds, each equation met.
pub(super) struct Program(Option<DefaultSolver<f64>>);

/// How a program ended.
pub(super) enum Proposal {
    /// A point near the optimum, or where the solver stopped on its way there.
    Point(Vec<f64>),
    /// The solver says that no point satisfies the constraints.
    Infeasible,
    /// No point at all.
    Nothing,
}

impl Program {
    /// A bound is the least value of a column, and its greatest where it has one. An equation is a sum of columns and its
    /// value.
    pub fn new(bounds: &[(f64, Option<f64>)], equations: &[(&[u32], f64)]) -> Self {
        let (columns, rows) = (bounds.len(), equations.len());
        let mut held: Vec<Vec<usize>> = vec![Vec::new(); columns];
        for (e, (sum, _)) in equations.iter().enumerate() {
            sum.iter().for_each(|&c| held[c as usize].push(e));
        }
        let mut values: Vec<f64> = equations.iter().map(|e| e.1).chain(bounds.iter().map(|b| -b.0)).collect();
        let (mut starts, mut at, mut entries) = (vec![0], Vec::new(), Vec::new());
        for (c, held) in held.iter().enumerate() {
            at.extend(held);
            entries.extend(held.iter().map(|_| 1.0));
            at.push(rows + c);
            entries.push(-1.0);
            if let Some(greatest) = bounds[c].1 {
                at.push(values.len());
                entries.push(1.0);
                values.push(greatest);
            }
            starts.push(at.len());
        }
        let matrix = CscMatrix::new(values.len(), columns, starts, at, entries);
        let cones = [ZeroConeT(rows), NonnegativeConeT(values.len() - rows)];
        let settings = DefaultSettings {
            verbose: false,
            max_iter: STEPS_MAX,
            max_threads: 1,
            presolve_enable: false,
            ..DefaultSettings::default()
        };
        let zero = CscMatrix::zeros((columns, columns));
        Self(DefaultSolver::new(&zero, &vec![0.0; columns], &matrix, &values, &cones, settings).ok())
    }

    /// The point of the least cost.
    pub fn minimise(&mut self, costs: &[f64]) -> Proposal {
        let Some(solver) = &mut self.0 else { return Proposal::Nothing };
        if solver.update_q(&costs.to_vec()).is_err() {
            return Proposal::Nothing;
        }
        solver.solve();
        match solver.solution.status {
            SolverStatus::PrimalInfeasible => Proposal::Infeasible,
            _ if solver.solution.x.iter().all(|value| value.is_finite()) => Proposal::Point(solver.solution.x.clone()),
            _ => Proposal::Nothing,
        }
    }
}

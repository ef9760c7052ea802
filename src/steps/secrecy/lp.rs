//! The linear programs of the strongroom; this file alone names the solver (HiGHS, simplex, one thread).

use highs::{Col, HighsModelStatus, Model, RowProblem, Sense};

/// A program that is solved again and again with other costs and bounds, keeping its basis. A solver that breaks down
/// gives no verdict, then and ever after.
pub(super) struct Program {
    model: Option<Model>,
    columns: Vec<Col>,
}

/// How a solve ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// The value of each column at the optimum.
    Optimal(Vec<f64>),
    /// No point satisfies the constraints.
    Infeasible,
    /// Anything else: no verdict. Callers withhold.
    NoVerdict,
}

/// A column: cost, least and greatest value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub cost: f64,
    pub least: f64,
    pub greatest: f64,
}

impl Column {
    pub fn new(cost: f64, least: f64, greatest: f64) -> Self {
        Self { cost, least, greatest }
    }
}

impl Program {
    /// Minimises. Rows are (least, greatest, coefficients by column).
    pub fn minimise(columns: &[Column], rows: &[(f64, f64, Vec<(u32, f64)>)]) -> Self {
        let mut problem = RowProblem::default();
        let columns: Vec<Col> = columns.iter().map(|c| problem.add_column(c.cost, c.least..=c.greatest)).collect();
        for (least, greatest, coefficients) in rows {
            problem.add_row(*least..=*greatest, coefficients.iter().map(|&(c, v)| (columns[c as usize], v)));
        }
        let mut model = problem.optimise(Sense::Minimise);
        model.make_quiet();
        model.set_option("threads", 1);
        model.set_option("random_seed", 0);
        Self { model: Some(model), columns }
    }

    /// Changes the cost of a column.
    pub fn set_cost(&mut self, column: u32, cost: f64) {
        if let Some(model) = &mut self.model {
            model.change_column_cost(self.columns[column as usize], cost);
        }
    }

    /// Changes the bounds of a column.
    pub fn set_bounds(&mut self, column: u32, least: f64, greatest: f64) {
        if let Some(model) = &mut self.model {
            model.change_column_bounds(self.columns[column as usize], least..=greatest);
        }
    }

    /// Solves from the last basis.
    pub fn solve(&mut self) -> Outcome {
        let Some(Ok(solved)) = self.model.take().map(Model::try_solve) else { return Outcome::NoVerdict };
        let outcome = match solved.status() {
            HighsModelStatus::Optimal => Outcome::Optimal(solved.get_solution().columns().to_vec()),
            HighsModelStatus::Infeasible => Outcome::Infeasible,
            _ => Outcome::NoVerdict,
        };
        self.model = Some(solved.into());
        outcome
    }
}

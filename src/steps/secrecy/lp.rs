//! The linear programs of the strongroom; this file alone names the solver (HiGHS, simplex, one thread).

use highs::{Col, ColProblem, HighsModelStatus, Model, Row, RowProblem, Sense, SolvedModel};

/// A program that is solved again and again with other costs and bounds, keeping its basis. A solver that breaks down
/// gives no verdict, then and ever after.
pub(super) struct Program {
    model: Option<Model>,
    columns: Vec<Col>,
    /// What the work has cost so far, in steps of the simplex method: the same on every machine.
    pub steps: u64,
}

/// What it costs to start from the last basis, in steps: about so many, measured on programs of a thousand rows.
const STEPS_A_SOLVE: u64 = 50;

/// An optimum.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Optimum {
    pub cost: f64,
    pub columns: Vec<f64>,
    /// What a unit more of each row would cost.
    pub row_prices: Vec<f64>,
}

/// How a solve ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    Optimal(Optimum),
    /// No point satisfies the constraints.
    Infeasible,
    /// Anything else: no verdict. Callers withhold.
    NoVerdict,
}

impl Outcome {
    pub fn optimum(self) -> Option<Optimum> {
        match self {
            Self::Optimal(optimum) => Some(optimum),
            Self::Infeasible | Self::NoVerdict => None,
        }
    }
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

/// A constraint: least and greatest value, coefficients by column.
pub(super) type Constraint = (f64, f64, Vec<(u32, f64)>);

/// Which simplex method suits what changes between two solves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Costs change: the last point stays within its bounds.
    Primal,
    /// Bounds change, or constraints come in: the last prices stay right.
    Dual,
}

impl Program {
    /// Minimises.
    pub fn minimise(columns: &[Column], rows: &[Constraint], method: Method) -> Self {
        let mut problem = RowProblem::default();
        let columns: Vec<Col> = columns.iter().map(|c| problem.add_column(c.cost, c.least..=c.greatest)).collect();
        for (least, greatest, coefficients) in rows {
            problem.add_row(*least..=*greatest, coefficients.iter().map(|&(c, v)| (columns[c as usize], v)));
        }
        Self::settled(problem.optimise(Sense::Minimise), columns, method)
    }

    /// For a program that is solved once, and whose answer is near zero: to reduce it first costs more than it saves.
    pub fn unreduced(mut self) -> Self {
        if let Some(model) = &mut self.model {
            model.set_option("presolve", "off");
        }
        self
    }

    /// Minimises, by columns, a program whose constraints hold when every column is zero, and that is not reduced first:
    /// bounds of the rows, and each column with its coefficients, by row ascending.
    pub fn once<'a>(rows: &[(f64, f64)], columns: impl Iterator<Item = (Column, &'a [(u32, f64)])>) -> Self {
        let mut problem = ColProblem::default();
        let rows: Vec<Row> = rows.iter().map(|&(least, greatest)| problem.add_row(least..=greatest)).collect();
        for (c, coefficients) in columns {
            let of_rows = coefficients.iter().map(|&(r, v)| (rows[r as usize], v));
            problem.add_column(c.cost, c.least..=c.greatest, of_rows);
        }
        Self::settled(problem.optimise(Sense::Minimise), Vec::new(), Method::Primal).unreduced()
    }

    fn settled(mut model: Model, columns: Vec<Col>, method: Method) -> Self {
        settle(&mut model);
        model.set_option("simplex_strategy", if method == Method::Dual { 1 } else { 4 });
        Self { model: Some(model), columns, steps: 0 }
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

    /// Adds a constraint.
    pub fn add_row(&mut self, (least, greatest, coefficients): &Constraint) {
        if let Some(model) = &mut self.model {
            model.add_row(*least..=*greatest, coefficients.iter().map(|&(c, v)| (self.columns[c as usize], v)));
        }
    }

    /// Solves from the last basis.
    pub fn solve(&mut self) -> Outcome {
        let Some(Ok(solved)) = self.model.take().map(Model::try_solve) else { return Outcome::NoVerdict };
        self.steps += STEPS_A_SOLVE + u64::try_from(solved.simplex_iteration_count()).unwrap_or(0);
        let outcome = match solved.status() {
            HighsModelStatus::Optimal => {
                let solution = solved.get_solution();
                Outcome::Optimal(Optimum {
                    cost: solved.objective_value(),
                    columns: solution.columns().to_vec(),
                    row_prices: solution.dual_rows().to_vec(),
                })
            }
            HighsModelStatus::Infeasible => Outcome::Infeasible,
            _ => Outcome::NoVerdict,
        };
        self.model = Some(solved.into());
        outcome
    }
}

fn settle(model: &mut Model) {
    model.make_quiet();
    model.set_option("threads", 1);
    model.set_option("random_seed", 0);
}

/// HiGHS's number for a point that satisfies every constraint.
const FEASIBLE: i64 = 2;

/// A choice of columns, and what the search has proved.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    pub taken: Vec<bool>,
    /// No choice costs less than this.
    pub bound: f64,
    /// Steps of the simplex method.
    pub steps: u64,
}

/// A cheap point in whole numbers within all bounds that satisfies every constraint: the cheapest to within `gap`, or the best
/// after so many nodes of the search.
pub(super) fn in_whole_numbers(columns: &[Column], rows: &[Constraint], gap: f64, nodes_max: i32) -> Option<Vec<f64>> {
    let mut problem = RowProblem::default();
    let columns: Vec<Col> = columns.iter().map(|c| problem.add_integer_column(c.cost, c.least..=c.greatest)).collect();
    let solved = searched(problem, &columns, rows, gap, nodes_max)?;
    Some(solved.get_solution().columns().to_vec())
}

/// The cheapest choice of columns, each taken or left, that satisfies every constraint, to within `gap` of its bound or
/// after so many nodes of the search. A limit of nodes and not of seconds: the answer is the same on every machine.
pub(super) fn choose(costs: &[f64], rows: &[Constraint], gap: f64, nodes_max: i32) -> Option<Choice> {
    let mut problem = RowProblem::default();
    let columns: Vec<Col> = costs.iter().map(|&cost| problem.add_integer_column(cost, 0.0..=1.0)).collect();
    let solved = searched(problem, &columns, rows, gap, nodes_max)?;
    let bound = solved.double_info_value(c"mip_dual_bound").ok()?;
    let steps = u64::try_from(solved.simplex_iteration_count()).unwrap_or(0);
    Some(Choice { taken: solved.get_solution().columns().iter().map(|&v| v > 0.5).collect(), bound, steps })
}

/// A program in whole numbers, searched until it is cheapest to within `gap` or after so many nodes; `None` where that
/// found no point.
fn searched(
    mut problem: RowProblem,
    columns: &[Col],
    rows: &[Constraint],
    gap: f64,
    nodes_max: i32,
) -> Option<SolvedModel> {
    for (least, greatest, coefficients) in rows {
        problem.add_row(*least..=*greatest, coefficients.iter().map(|&(c, v)| (columns[c as usize], v)));
    }
    let mut model = problem.try_optimise(Sense::Minimise).ok()?;
    settle(&mut model);
    model.set_option("mip_rel_gap", gap);
    model.set_option("mip_max_nodes", nodes_max);
    let solved = model.try_solve().ok()?;
    // Asked by its number: a search that ended without any answer has a status that the binding does not know.
    (solved.int_info_value(c"primal_solution_status").ok() == Some(FEASIBLE)).then_some(solved)
}

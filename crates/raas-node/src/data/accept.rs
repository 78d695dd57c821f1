//! The `Accept` header of a request to `/ipfs`: which form, and for CARs which parameters. Pure.

/// What is accepted most, of what is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A raw block.
    Raw,
    /// A CAR.
    Car(Car),
    /// Neither.
    Other,
}

/// Parameters of a CAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Car {
    /// `dups=y`.
    pub duplicates: bool,
}

const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car";

/// The form accepted most, among equals the first. Forms that can be checked go before all others.
///
/// # Errors
/// When CARs are accepted only with parameters that are not served.
pub fn form(header: &str) -> Result<Wanted, String> {
    let mut refused = None;
    for (kind, parameters) in ranges(header) {
        match kind {
            RAW => return Ok(Wanted::Raw),
            CAR => match car_of(&parameters) {
                Ok(car) => return Ok(Wanted::Car(car)),
                Err(why) => refused = Some(why),
            },
            _ => {}
        }
    }
    refused.map_or(Ok(Wanted::Other), Err)
}

/// What is said of CARs where the form is known from elsewhere.
#[must_use]
pub fn car(header: &str) -> Option<Car> {
    ranges(header).into_iter().find_map(|(kind, parameters)| car_of(&parameters).ok().filter(|_| kind == CAR))
}

type Parameters<'h> = Vec<(&'h str, &'h str)>;

/// The media ranges with their parameters, the most wanted first; those that are refused are left out.
fn ranges(header: &str) -> Vec<(&str, Parameters<'_>)> {
    let mut found: Vec<(u32, &str, Parameters<'_>)> = Vec::new();
    for range in header.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let parameters: Parameters<'_> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            .collect();
        let quality = parameters.iter().find(|(name, _)| *name == "q").map_or(1_000, |(_, q)| thousandths(q));
        if quality > 0 {
            found.push((quality, kind, parameters));
        }
    }
    found.sort_by_key(|(quality, ..)| std::cmp::Reverse(*quality));
    found.into_iter().map(|(_, kind, parameters)| (kind, parameters)).collect()
}

/// `0.8` as 800. What is no number from 0 to 1 counts as 1.
fn thousandths(text: &str) -> u32 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    match (whole, format!("{rest:0<3}").get(..3).and_then(|digits| digits.parse::<u32>().ok())) {
        ("0", Some(thousandths)) => thousandths,
        _ => 1_000,
    }
}

fn car_of(parameters: &[(&str, &str)]) -> Result<Car, String> {
    let mut duplicates = false;
    for (name, value) in parameters {
        match (*name, *value) {
            ("version", "1") | ("order", "dfs" | "unk") | ("dups", "n") => {}
            ("dups", "y") => duplicates = true,
            ("version" | "order" | "dups", other) => {
                return Err(format!(
                    "CARs are served with version=1, order=dfs and dups=y or dups=n, not with {name}={other}"
                ));
            }
            _ => {}
        }
    }
    Ok(Car { duplicates })
}

#[cfg(test)]
mod tests {
    use super::{Car, Wanted, car, form};

    #[test]
    fn the_best_form_that_can_be_served_is_taken() {
        let with = |duplicates| Ok(Wanted::Car(Car { duplicates }));
        assert_eq!(form(""), Ok(Wanted::Other));
        assert_eq!(form("*/*"), Ok(Wanted::Other));
        assert_eq!(form("application/vnd.ipld.car"), with(false));
        assert_eq!(form("application/vnd.ipld.car;version=1;order=dfs;dups=y"), with(true));
        let two = "application/vnd.ipld.car;order=foo, application/vnd.ipld.car;order=dfs;dups=y;q=0.5";
        assert_eq!(form(two), with(true));
        assert_eq!(car(two), Some(Car { duplicates: true }));
        let by_quality = "application/vnd.ipld.car;q=0.2, application/vnd.ipld.raw;q=0.9, */*";
        assert_eq!(form(by_quality), Ok(Wanted::Raw));
        assert_eq!(form("application/vnd.ipld.raw;q=0, application/vnd.ipld.car; dups=\"n\""), with(false));
        assert!(form("application/vnd.ipld.car;order=foo").is_err());
        assert!(form("application/vnd.ipld.car;version=2, text/html").is_err());
        assert_eq!(car("text/html"), None);
    }
}

//! Amounts as people write and read them: FIL with its unit, down to the last attoFIL.

use crate::units::AttoFil;

/// Digits behind the point of one FIL.
const DECIMALS: usize = 18;
/// attoFIL of one FIL.
const FIL: u128 = 1_000_000_000_000_000_000;

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no amount; write it with its unit, such as \"1.5 FIL\" or \"1500000 attoFIL\"")]
pub struct NoAmount(pub String);

/// Reads an amount with its unit, `FIL` or `attoFIL`, with or without a blank before it. A number alone is refused:
/// the difference is 18 digits.
pub fn parse(text: &str) -> Result<AttoFil, NoAmount> {
    let no = || NoAmount(text.chars().take(60).collect());
    let trimmed = text.trim();
    let (digits, unit) = trimmed.split_at(trimmed.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(no)?);
    let digits = digits.trim_end();
    let amount = match unit.to_ascii_lowercase().as_str() {
        "attofil" => number(digits),
        "fil" => {
            let (whole, behind) = digits.split_once('.').unwrap_or((digits, "0"));
            if behind.is_empty() || behind.len() > DECIMALS {
                return Err(no());
            }
            number(whole).zip(number(&format!("{behind:0<DECIMALS$}"))).and_then(|(whole, behind)| {
                whole.checked_mul(FIL).and_then(|whole| whole.checked_add(behind))
            })
        }
        _ => None,
    };
    amount.map(AttoFil).ok_or_else(no)
}

/// Digits only: no sign, no blanks.
fn number(digits: &str) -> Option<u128> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// An amount in FIL with its unit, exact and without needless zeros.
#[must_use]
pub fn fil(amount: AttoFil) -> String {
    let (whole, behind) = (amount.0 / FIL, amount.0 % FIL);
    if behind == 0 {
        return format!("{whole} FIL");
    }
    let behind = format!("{behind:0DECIMALS$}");
    format!("{whole}.{} FIL", behind.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_need_their_unit() {
        let table = [
            ("1 FIL", FIL),
            ("1.5FIL", FIL + FIL / 2),
            ("0.000000000000000001 fil", 1),
            ("7 attoFIL", 7),
            (" 12 attofil ", 12),
        ];
        for (text, amount) in table {
            assert_eq!(parse(text), Ok(AttoFil(amount)), "{text}");
        }
        for bad in [
            "",
            "1",
            "FIL",
            "-1 FIL",
            "1.FIL",
            ".5 FIL",
            "1e3 FIL",
            "1 ETH",
            "0.0000000000000000001 FIL",
            "1,5 FIL",
        ] {
            assert_eq!(parse(bad), Err(NoAmount(bad.to_owned())), "{bad}");
        }
        assert!(parse("340282366920938463463374607431768211456 attoFIL").is_err(), "2^128");
        assert_eq!(fil(AttoFil(FIL + FIL / 4)), "1.25 FIL");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(amount: u128) {
            prop_assert_eq!(parse(&fil(AttoFil(amount))), Ok(AttoFil(amount)));
        }
    }
}

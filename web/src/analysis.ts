/** What the card computes from a condor, for your own app: `condord-web/analysis`, apart from what follows the daemon. */
export { closingOrder, type ClosingOrderOptions, type ClosingPrice, type OrderToCopy } from './closingOrder'
export { riskCurve, type CurveAt, type CurveModel } from './curve'
export { notesOn, type Context, type Look, type Note } from './notes'
export { payoff, type Payoff, type Point } from './payoff'

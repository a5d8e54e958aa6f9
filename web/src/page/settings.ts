/** The settings of the page, which the browser keeps for all tabs of its origin. */

export interface Settings {
  theme: 'system' | 'light' | 'dark'
  colours: 'blueOrange' | 'greenRed'
  density: 'comfortable' | 'compact'
  /** The columns of the table in their order; null for the default ones. */
  columns: string[] | null
  /** The meaning of a flash's colour: the effect on the profit or loss, or nothing. */
  flash: 'effect' | 'neutral' | 'off'
  /** Whether the browser shows a notification when an alert begins to fire. */
  notify: boolean
  sound: boolean
  /** Whether screen readers announce changes of profit and loss. */
  announce: boolean
}

export const DEFAULTS: Readonly<Settings> = {
  theme: 'system',
  colours: 'blueOrange',
  density: 'comfortable',
  columns: null,
  flash: 'effect',
  notify: false,
  sound: false,
  announce: false,
}

/** The choices of each setting that has some, with the words for them. */
export const CHOICES = {
  theme: { system: 'System', light: 'Light', dark: 'Dark' },
  colours: { blueOrange: 'Blue and orange', greenRed: 'Green and red' },
  density: { comfortable: 'Comfortable', compact: 'Compact' },
  flash: { effect: 'By effect on P/L', neutral: 'Neutral', off: 'Off' },
} as const

/** Reads stored settings. Missing and invalid ones have their defaults. */
export function settingsFrom(text: string | null): Settings {
  const stored = parsed(text)
  const settings = { ...DEFAULTS, columns: columnsOf(stored['columns']) }
  const choose = <Name extends keyof typeof CHOICES>(name: Name) => {
    const value = stored[name]
    if (typeof value === 'string' && Object.hasOwn(CHOICES[name], value)) settings[name] = value as Settings[Name]
  }
  for (const name of Object.keys(CHOICES) as (keyof typeof CHOICES)[]) choose(name)
  for (const name of ['notify', 'sound', 'announce'] as const) settings[name] = stored[name] === true
  return settings
}

function columnsOf(value: unknown): string[] | null {
  return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : null
}

function parsed(text: string | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    // Another program of this origin, or a person, may have written anything.
    return {}
  }
}

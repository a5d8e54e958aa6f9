/** The sound of an alert: two short tones. A browser plays it only in a tab in which something was clicked. */

const TONES_HZ = [660, 880]
const TONE_SECONDS = 0.14

let context: AudioContext | null = null

/** Makes this tab able to play, if it may; plays once if `isSample`. To be called from a click. */
export async function wakeSound(isSample = false): Promise<void> {
  context ??= new AudioContext()
  await context.resume()
  if (isSample) playSound()
}

/** Whether this tab can play now. */
export const canPlay = () => context?.state === 'running'

export function playSound() {
  if (!context) return
  for (const [at, frequency] of TONES_HZ.entries()) {
    const from = context.currentTime + at * TONE_SECONDS
    const tone = context.createOscillator()
    const volume = context.createGain()
    tone.frequency.value = frequency
    volume.gain.setValueAtTime(0.15, from)
    volume.gain.exponentialRampToValueAtTime(0.001, from + TONE_SECONDS)
    tone.connect(volume).connect(context.destination)
    tone.start(from)
    tone.stop(from + TONE_SECONDS)
  }
}

/** Browser notifications of alerts. */

/** Whether this browser has notifications, which need a secure context. */
export const canNotify = () => typeof Notification !== 'undefined' && isSecureContext

/** Asks the user, from a click; returns why there will be none, or nothing. */
export async function askPermission(): Promise<string> {
  const answer = await Notification.requestPermission()
  if (answer === 'granted') return ''
  return answer === 'denied'
    ? "The browser blocks notifications of this page; allow them in the browser's settings for this site."
    : 'The browser has not allowed notifications.'
}

/** Shows one; those of the same `tag` replace each other. A click on it shows the page. */
export function notify(title: string, body: string, tag: string) {
  if (!canNotify() || Notification.permission !== 'granted') return
  const shown = new Notification(title, { body, tag })
  shown.onclick = () => {
    focus()
    shown.close()
  }
}

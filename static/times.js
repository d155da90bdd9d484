/** Times as all pages write them: in the local time zone, which is named where the day is. */

import { element } from "./element.js";

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECOND = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MILLISECOND = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });

/** `10:37:05` */
export const clock = (at) => SECOND.format(at);

/** `10:37:05.123` */
export const exactClock = (at) => MILLISECOND.format(at);

/** `25 Nov 2026` */
export const day = (at) => DAY.format(at);

/** `25 Nov 2026` of `2026-11-25`, in every time zone. */
export const dayOf = (date) => day(new Date(`${date}T12:00`));

/** `25 Nov 2026, 10:37 UTC+1` */
export const moment = (at) => `${day(at)}, ${MINUTE.format(at)} ${zone(at)}`;

/** A `<time>` as `shown` writes it, with the exact time in UTC as tooltip. */
export function time(value, shown = moment) {
  const at = new Date(value);
  return element("time", { dateTime: at.toISOString(), title: at.toISOString() }, shown(at));
}

function zone(at) {
  const minutes = -at.getTimezoneOffset();
  if (!minutes) return "UTC";
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? "-" : "+"}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}
